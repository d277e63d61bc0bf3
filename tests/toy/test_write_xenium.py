import hashlib
import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile

from triptych.readers.toy.bundle import PIXEL_UM, Picture
from triptych.readers.toy.cells import ToyCells
from triptych.readers.toy.write_pyramid import halved, write_grey, write_picture
from triptych.readers.toy.write_xenium import write_xenium

TOY = ToyCells(sections=1, cells=120)


@pytest.fixture(scope="module")
def bundle():
    return next(iter(TOY.make()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, bundle):
    root = tmp_path_factory.mktemp("bundle")
    write_xenium(root, bundle)
    return root


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_files(folder):
    assert set(digest(folder)) == {
        "A1_he_image.ome.tif",
        "A1_he_imagealignment.csv",
        "cell_boundaries.parquet",
        "cell_feature_matrix.h5",
        "cell_feature_matrix/barcodes.tsv.gz",
        "cell_feature_matrix/features.tsv.gz",
        "cell_feature_matrix/matrix.mtx.gz",
        "cell_types.csv",
        "cells.csv.gz",
        "cells.parquet",
        "experiment.xenium",
        "morphology.ome.tif",
        "morphology_focus/morphology_focus_0000.ome.tif",
        "nucleus_boundaries.parquet",
        "transcripts.parquet",
    }


def test_bytes_are_the_same_again(folder, tmp_path):
    write_xenium(tmp_path, next(iter(TOY.make())))
    assert digest(tmp_path) == digest(folder)


def test_without_text_and_images(tmp_path, bundle):
    from dataclasses import replace

    write_xenium(tmp_path, replace(bundle, picture=None, morphology=None), text=False)
    names = set(digest(tmp_path))
    assert not {name for name in names if name.endswith(("gz", "tif")) or "alignment" in name}


def test_columns_and_types_of_the_instrument(folder):
    schema = pq.read_schema(folder / "transcripts.parquet")
    wanted = {
        "transcript_id": "uint64",
        "overlaps_nucleus": "uint8",
        **dict.fromkeys(("cell_id", "feature_name", "fov_name"), "string"),
        **dict.fromkeys(("x_location", "y_location", "z_location", "qv"), "float"),
    }
    assert {field.name: str(field.type) for field in schema} == wanted
    cells = pd.read_parquet(folder / "cells.parquet")
    assert {"cell_id", "x_centroid", "y_centroid", "transcript_counts", "cell_area", "nucleus_area"} <= set(
        cells
    )
    about = json.loads((folder / "experiment.xenium").read_text())
    assert about["pixel_size"] == PIXEL_UM
    assert about["num_cells"] == len(cells)
    assert about["num_transcripts"] == pq.ParquetFile(folder / "transcripts.parquet").metadata.num_rows


def test_matrix_that_scanpy_reads(folder, bundle):
    scanpy = pytest.importorskip("scanpy")
    found = scanpy.read_10x_h5(folder / "cell_feature_matrix.h5", gex_only=False)
    np.testing.assert_array_equal(found.X.toarray(), bundle.counts.toarray())
    assert set(found.var["feature_types"][-3:]) == {
        "Negative Control Probe",
        "Negative Control Codeword",
        "Unassigned Codeword",
    }
    text = scanpy.read_10x_mtx(folder / "cell_feature_matrix", gex_only=False)
    np.testing.assert_array_equal(text.X.toarray(), bundle.counts.toarray())


def test_outlines_are_closed(folder, bundle):
    frame = pd.read_parquet(folder / "cell_boundaries.parquet")
    assert (frame.groupby("cell_id").size() == 13).all()
    first, last = (frame.groupby("label_id")[["vertex_x", "vertex_y"]].nth(place) for place in (0, -1))
    np.testing.assert_array_equal(first, last)


def test_slide_is_a_tiled_pyramid_in_rgb(folder, bundle):
    height, width = bundle.picture.shape_px
    with tifffile.TiffFile(folder / "A1_he_image.ome.tif") as tiff:
        page = tiff.pages[0]
        assert page.is_tiled
        assert page.photometric == tifffile.PHOTOMETRIC.RGB
        assert page.shape == (height, width, 3)
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata


@pytest.mark.parametrize("shape", [(700, 1301, 3), (1100, 1100, 3), (100, 90, 3)])
def test_levels_are_means(
    tmp_path,
    shape,
):
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    write_picture(tmp_path / "a_he_image.ome.tif", Picture.of(pixels, 0.25, np.eye(3)))
    with tifffile.TiffFile(tmp_path / "a_he_image.ome.tif") as tiff:
        levels = [level.asarray() for level in tiff.series[0].levels]
    np.testing.assert_array_equal(levels[0], pixels)
    assert len(levels) == 1 + int(np.log2(max(min(shape[:2]) // 256, 1)))
    for fine, coarse in pairwise(levels):
        np.testing.assert_array_equal(halved(fine), coarse)


def test_halved_against_a_loop():
    pixels = np.random.default_rng(1).integers(0, 255, (5, 6, 3), dtype=np.uint8)
    found = halved(pixels)
    for row in range(2):
        for column in range(3):
            mean = pixels[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(axis=(0, 1))
            np.testing.assert_array_equal(found[row, column], np.floor(mean + 0.5))


def test_grey_image(tmp_path):
    pixels = np.arange(600 * 30, dtype=np.uint16).reshape(600, 30)
    write_grey(tmp_path / "m.ome.tif", pixels, 0.2125)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.ome.tif"), pixels)


def test_parquet_wants_its_extra(tmp_path, bundle, monkeypatch):
    from triptych.core.errors import MissingExtraError
    from triptych.readers.toy import write_xenium as module

    def need(name, extra):
        raise MissingExtraError(f"{name} is not installed.", f"pip install 'triptych[{extra}]'")

    monkeypatch.setattr(module, "need", need)
    with pytest.raises(MissingExtraError, match=r"triptych\[cells\]"):
        write_xenium(tmp_path, bundle)
