import json

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.core.errors import DataError
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read


@pytest.mark.parametrize("mtx", [False, True])
@pytest.mark.parametrize("header", [False, True])
def test_both_forms_give_the_same(visium, mtx, header):
    table = read(visium(mtx=mtx, header=header))
    assert table.shape == (62, 51)  # antibodies and spots beside the tissue are left out
    assert "BC001-1" not in table.obs_names
    assert list(table.var_names[:2]) == ["g0", "g1"]
    assert table.var_names[50] == "g0-1"
    assert table.var["gene_id"].iloc[50] == "ENS50"
    row = table.uns["triptych"]["samples"].loc["V1"]
    assert row.mpp == pytest.approx(0.5)  # although the array is turned and reflected
    assert (row.lattice, row.spot_um, row.pitch_um, row.image_scale) == ("hex", 55, 100, 0.1)
    assert row.image.endswith("tissue_hires_image.png")
    assert np.allclose(table.obsm["spatial_um"], table.obsm["spatial"] * 0.5)


def test_counts_are_those_of_the_file(visium):
    folder = visium()
    with h5py.File(folder / "filtered_feature_bc_matrix.h5") as file:
        total = np.sum(file["matrix/data"][:])
    by_hand = read(folder)
    assert 0 < by_hand.layers["counts"].sum() < total


def test_outs_and_a_study_of_two(visium, tmp_path):
    visium("V1")
    second = visium("V2")
    outs = second / "outs"
    outs.mkdir()
    for child in [c for c in second.iterdir() if c != outs]:
        child.rename(outs / child.name)
    table = read(tmp_path / "study")
    assert list(table.obs["sample"].cat.categories) == ["V1", "V2"]
    assert table.n_obs == 124
    assert read(outs).uns["triptych"]["samples"].index[0] == "V2"
    assert read(tmp_path / "study", ReadOptions(samples=("V2",))).n_obs == 62


def test_labels_and_a_full_image_beside(visium):
    folder = visium()
    names = [f"BC{i:03d}-1" for i in range(5, 20)]
    pd.DataFrame({"barcode": names, "layer": ["L1"] * 14 + ["NA"]}).to_csv(
        folder / "metadata.csv", index=False
    )
    Image.new("RGB", (2100, 2100)).save(folder / "image.png")
    table = read(folder)
    assert table.obs.truth.notna().sum() == 14
    assert table.uns["triptych"]["samples"].image_scale["V1"] == 1
    assert table.uns["triptych"]["samples"].image["V1"].endswith("image.png")


def test_labels_of_other_barcodes(visium):
    folder = visium()
    pd.DataFrame({"barcode": ["x"], "layer": ["L1"]}).to_csv(folder / "truth.csv", index=False)
    with pytest.raises(DataError, match=r"no barcode of truth.csv is in the matrix"):
        read(folder)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("spatial/tissue_positions.csv", "the file spatial/tissue_positions.csv .* is missing"),
        ("spatial/scalefactors_json.json", "the file spatial/scalefactors_json.json is missing"),
        ("filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix.h5 .* is missing"),
    ],
)
def test_missing_files(visium, file, message):
    folder = visium()
    (folder / file).unlink()
    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize("file", ["matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz"])
def test_missing_and_truncated_parts_of_the_matrix(visium, file):
    folder = visium(mtx=True)
    path = folder / "filtered_feature_bc_matrix" / file
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=f"{file} is cut short"):
        read(folder)
    path.unlink()
    with pytest.raises(DataError, match=f"{file} is missing"):
        read(folder)


def test_lists_of_another_size(visium):
    folder = visium(mtx=True)
    pd.Series(["a", "b"]).to_csv(
        folder / "filtered_feature_bc_matrix" / "barcodes.tsv.gz", sep="\t", header=False, index=False
    )
    with pytest.raises(DataError, match="matrix.mtx has 52 features and 63 barcodes, its lists 52 and 2"):
        read(folder)


def test_truncated_h5(visium):
    folder = visium()
    path = folder / "filtered_feature_bc_matrix.h5"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="filtered_feature_bc_matrix.h5 cannot be read"):
        read(folder)


def test_h5_of_another_form(visium):
    folder = visium()
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="is not a matrix of Space Ranger"):
        read(folder)


def test_truncated_png(visium):
    folder = visium()
    path = folder / "spatial" / "tissue_hires_image.png"
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(DataError, match="tissue_hires_image.png is cut short"):
        read(folder)


def test_spots_outside_the_image(visium):
    folder = visium(image_px=150)
    with pytest.raises(DataError, match=r"of 62 observations lie outside the image of 150 × 150 px"):
        read(folder)


def positions(folder, edit):
    path = folder / "spatial" / "tissue_positions.csv"
    edit(pd.read_csv(path)).to_csv(path, index=False)


def test_faults_of_positions(visium):
    folder = visium()
    positions(folder, lambda f: f.assign(array_row=f.array_row.where(f.index != 3)))
    with pytest.raises(DataError, match="1 rows of tissue_positions.csv have no numbers: BC003-1"):
        read(folder)
    positions(folder, lambda f: f.fillna(0).assign(barcode=f.barcode.replace("BC005-1", "BC006-1")))
    with pytest.raises(DataError, match="1 barcodes are there more than once in tissue_positions.csv"):
        read(folder)
    positions(folder, lambda f: f.drop(columns="in_tissue").drop_duplicates("barcode"))
    with pytest.raises(DataError, match="no column in_tissue"):
        read(folder)


def test_barcodes_without_position(visium):
    folder = visium()
    positions(folder, lambda f: f.iloc[:-2])
    with pytest.raises(DataError, match="2 barcodes of its matrix have no position: BC062-1, BC063-1"):
        read(folder)


def test_no_spot_in_tissue(visium):
    folder = visium()
    positions(folder, lambda f: f.assign(in_tissue=0))
    with pytest.raises(DataError, match="V1: it has no observations"):
        read(folder)


def test_duplicate_barcodes(visium):
    folder = visium()
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "a") as file:
        file["matrix/barcodes"][4] = file["matrix/barcodes"][5]
    with pytest.raises(DataError, match="barcodes are there more than once: BC006-1"):
        read(folder)


def test_scale_factors_that_are_no_json(visium):
    folder = visium()
    path = folder / "spatial" / "scalefactors_json.json"
    path.write_text("{")
    with pytest.raises(DataError, match="scalefactors_json.json is no JSON"):
        read(folder)
    path.write_text(json.dumps([1]))
    with pytest.raises(DataError, match="has no names and values"):
        read(folder)
