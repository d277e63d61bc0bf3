from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
from PIL import Image

from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_space_ranger, write_spatial_transcriptomics
from triptych.readers.toy.write_visium import barcodes


@cache
def study(lattice):
    return Toy(side=8, genes=30, lattice=lattice).make()


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def square(tmp_path):
    write_spatial_transcriptomics(study("square"), tmp_path / "st")
    return tmp_path / "st"


@pytest.fixture
def hexagonal(tmp_path):
    write_space_ranger(study("hex"), tmp_path / "sr", mtx=True)
    return tmp_path / "sr"


def table(path, **options):
    return pd.read_csv(path, sep="\t", **options)


def test_files_of_her2st(square):
    assert set(digest(square)) == {
        f"{folder}/{name}{end}"
        for name in ("A1", "A2", "B1", "B2")
        for folder, end in (
            ("counts", ".tsv.gz"),
            ("spots", "_selection.tsv"),
            ("labels", "_labeled_coordinates.tsv"),
            ("proportions/major", ".tsv.gz"),
            ("images", ".jpg"),
        )
    }


def test_contents_of_her2st(square):
    made = study("square")
    for section in made.sections:
        counts = table(square / f"counts/{section.name}.tsv.gz", index_col=0)
        np.testing.assert_array_equal(counts.to_numpy(), section.counts.toarray())
        assert list(counts.columns) == list(made.genes)
        spots = table(square / f"spots/{section.name}_selection.tsv")
        assert list(spots.columns) == ["x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected"]
        assert list(counts.index) == [f"{x}x{y}" for x, y in zip(spots.x, spots.y, strict=True)]
        np.testing.assert_array_equal(spots[["new_x", "new_y"]].round(), spots[["x", "y"]])
        np.testing.assert_allclose(spots[["pixel_x", "pixel_y"]], section.spatial_px, atol=0.01)
        assert np.diff(np.unique(spots.pixel_x)).min() == pytest.approx(200 / made.mpp)
        shares = table(square / f"proportions/major/{section.name}.tsv.gz", index_col=0)
        assert list(shares.columns) == list(made.types)
        np.testing.assert_allclose(shares, section.abundance, rtol=1e-6)


def test_labels_of_her2st(square):
    made = study("square")
    for section in made.sections:
        labels = table(square / f"labels/{section.name}_labeled_coordinates.tsv")
        assert list(labels.columns) == ["Row.names", "x", "y", "pixel_x", "pixel_y", "label"]
        known = labels.label != "undetermined"
        np.testing.assert_array_equal(known, section.labelled)
        np.testing.assert_array_equal(labels.label[known], np.take(made.domains, section.domain)[known])
    assert any(not section.labelled.all() for section in made.sections)


def test_image_of_her2st(square):
    section = study("square").sections[1]
    found = np.asarray(Image.open(square / "images/A2.jpg"))
    assert found.shape == section.image.shape
    assert np.abs(found.astype(int) - section.image).mean() < 4


def test_matrix_of_space_ranger(hexagonal):
    made = study("hex")
    for section in made.sections:
        with h5py.File(hexagonal / section.name / "filtered_feature_bc_matrix.h5") as file:
            matrix = file["matrix"]
            parts = [matrix[name][:] for name in ("data", "indices", "indptr")]
            found = sp.csc_matrix(tuple(parts), shape=tuple(matrix["shape"][:]))
            names = [name.decode() for name in matrix["barcodes"][:]]
            assert [g.decode() for g in matrix["features/name"][:]] == list(made.genes)
            assert set(matrix["features"]) == {"_all_tag_keys", "feature_type", "genome", "id", "name"}
        np.testing.assert_array_equal(found.T.toarray(), section.counts.toarray())
        assert names == barcodes(section.grid)
        folder = hexagonal / section.name / "filtered_feature_bc_matrix"
        with gzip.open(folder / "matrix.mtx.gz") as stream:
            np.testing.assert_array_equal(scipy.io.mmread(stream).toarray(), found.toarray())
        barcode_lines, feature_lines = (
            gzip.decompress((folder / f"{name}.tsv.gz").read_bytes()).decode().splitlines()
            for name in ("barcodes", "features")
        )
        assert barcode_lines == names
        assert [line.split("\t")[1] for line in feature_lines] == list(made.genes)


def test_scanpy_reads_the_matrix(hexagonal):
    scanpy = pytest.importorskip("scanpy")
    found = scanpy.read_10x_h5(hexagonal / "B1/filtered_feature_bc_matrix.h5")
    np.testing.assert_array_equal(found.X.toarray(), study("hex").sections[2].counts.toarray())


def test_positions_of_space_ranger(hexagonal):
    made = study("hex")
    for section in made.sections:
        places = pd.read_csv(hexagonal / section.name / "spatial/tissue_positions.csv", index_col="barcode")
        factors = json.loads((hexagonal / section.name / "spatial/scalefactors_json.json").read_text())
        assert places.in_tissue.sum() == len(section.domain) < len(places)
        assert ((places.array_row + places.array_col) % 2 == 0).all()
        mine = places.loc[barcodes(section.grid)]
        pixels = mine[["pxl_col_in_fullres", "pxl_row_in_fullres"]] * factors["tissue_hires_scalef"]
        np.testing.assert_allclose(pixels, section.spatial_px, atol=0.2)
        assert factors["spot_diameter_fullres"] * made.mpp * factors["tissue_hires_scalef"] == pytest.approx(
            55
        )
        hires = Image.open(hexagonal / section.name / "spatial/tissue_hires_image.png")
        np.testing.assert_array_equal(np.asarray(hires), section.image)
        lowres = Image.open(hexagonal / section.name / "spatial/tissue_lowres_image.png")
        assert lowres.size[0] / hires.size[0] == pytest.approx(0.3, rel=0.01)


def test_truth_of_space_ranger(hexagonal):
    made = study("hex")
    for section in made.sections:
        truth = pd.read_csv(hexagonal / section.name / "metadata.csv", keep_default_na=False)
        assert list(truth.barcode) == barcodes(section.grid)
        np.testing.assert_array_equal(truth.domain != "", section.labelled)


def test_older_positions_have_no_header(tmp_path):
    write_space_ranger(study("hex"), tmp_path, header=False)
    assert not (tmp_path / "A1/filtered_feature_bc_matrix").exists()
    places = pd.read_csv(tmp_path / "A1/spatial/tissue_positions_list.csv", header=None)
    assert places.shape == (len(study("hex").array.grid), 6)


def test_barcodes_are_unique():
    grid = np.stack(np.meshgrid(np.arange(128), np.arange(78)), axis=-1).reshape(-1, 2)
    found = barcodes(grid)
    assert len(set(found)) == len(grid)
    assert all(len(name) == 18 and name.endswith("-1") and set(name[:16]) <= set("ACGT") for name in found)


@pytest.mark.parametrize(
    ("lattice", "write"), [("square", write_spatial_transcriptomics), ("hex", write_space_ranger)]
)
def test_bytes_are_the_same_again(tmp_path, lattice, write):
    write(study(lattice), tmp_path / "one")
    write(study(lattice), tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_layouts_want_their_array(tmp_path):
    with pytest.raises(ValueError, match="needs a square array, this study has a hex one"):
        write_spatial_transcriptomics(study("hex"), tmp_path)
    with pytest.raises(ValueError, match="needs a hex array, this study has a square one"):
        write_space_ranger(study("square"), tmp_path)
