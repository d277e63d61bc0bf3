import gzip
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read

SELECTED = 35


def change(path: Path, edit, sep="\t", **kwargs):
    frame = pd.read_csv(path, sep=sep, **kwargs)
    edit(frame).to_csv(path, sep=sep, index=bool(kwargs))


def edit_counts(root, edit, name="A1"):
    change(root / "counts" / f"{name}.tsv.gz", edit, index_col=0)


def put(row, column, value):
    def edit(frame):
        frame = frame.astype(object)
        frame.iloc[row, column] = value
        return frame

    return edit


def test_slots_of_one_section(st):
    root = st()
    table = read(root)
    counts = pd.read_csv(root / "counts" / "A1.tsv.gz", sep="\t", index_col=0)
    assert table.X is None
    assert table.layers["counts"].dtype == np.int32
    assert np.array_equal(table.layers["counts"].toarray(), counts.loc[table.obs_names, table.var_names])
    assert table.n_obs == SELECTED
    assert "2x2" not in table.obs_names  # it was not selected
    assert [f"{c}x{r}" for c, r in zip(table.obs.array_col, table.obs.array_row, strict=True)] == list(
        table.obs_names
    )
    assert np.allclose(table.obsm["spatial_um"], table.obsm["spatial"] * 5)
    row = table.uns["triptych"]["samples"].loc["A1"]
    assert (row.donor, row.spot_um, row.pitch_um, row.lattice, row.image_scale) == (
        "A",
        100,
        200,
        "square",
        1,
    )
    assert row.mpp == pytest.approx(5.0)
    assert Path(row.image).is_absolute()


def test_labels_are_rounded_to_the_array_and_undetermined_is_missing(st):
    table = read(st())
    assert list(table.obs.truth.cat.categories) == ["stroma", "tumour"]
    assert pd.isna(table.obs.truth["3x2"])
    expected = np.where(table.obs.array_col > 4, "tumour", "stroma")
    known = table.obs.truth.notna()
    assert known.sum() == SELECTED - 1
    assert (table.obs.truth[known] == expected[known]).all()
    assert table.uns["triptych"]["truth_column"] == "label"


def test_a_spot_without_proportions_has_missing_ones(st):
    abundance = read(st()).obsm["abundance"]
    assert list(abundance.columns) == ["T", "B"]
    assert abundance.isna().all(axis=1).sum() == 1


def test_two_sections_share_genes_and_have_prefixed_ids(st):
    st("A1", genes=[f"G{i}" for i in range(70)])
    root = st("B2", genes=[f"G{i}" for i in range(5, 80)], labels=False, image=False)
    table = read(root)
    assert list(table.var_names) == [f"G{i}" for i in range(5, 70)]
    assert table.obs_names.is_unique
    assert table.obs_names[0].startswith("A1_")
    assert list(table.obs.donor.cat.categories) == ["A", "B"]
    assert (table.obs.batch == table.obs["sample"]).all()
    assert table.obs.truth[table.obs["sample"] == "B2"].isna().all()
    one = read(root, ReadOptions(samples=("B2",)))
    assert "truth" not in one.obs
    part = table[(table.obs["sample"] == "B2").to_numpy()]
    assert np.array_equal(part.layers["counts"].toarray(), one[:, table.var_names].layers["counts"].toarray())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-3, "1 count is negative, first -3 at 4x2, gene G1"),
        (1.5, "1 count is fractional, first 1.5 at 4x2, gene G1"),
        ("NA", "1 count is missing"),
        ("what", "1 count is missing"),
        ("inf", "1 count is infinite"),
        (3_000_000_000, "1 count is above 2147483647"),
    ],
)
def test_values_that_are_no_counts(st, value, message):
    root = st()
    edit_counts(root, put(2, 1, value))
    with pytest.raises(DataError, match=re.escape(message)):
        read(root)


def test_whole_numbers_written_as_floats_are_counts(st):
    root = st()
    before = read(root).layers["counts"].toarray()
    edit_counts(root, lambda frame: frame.astype(float))
    assert np.array_equal(read(root).layers["counts"].toarray(), before)


def test_all_faults_of_all_samples_come_together(st):
    root = st("A1")
    st("B1")
    (root / "spots" / "A1_selection.tsv").unlink()
    edit_counts(root, put(3, 0, -1), "B1")
    (root / "images" / "B1.jpg").unlink()
    Image.new("RGB", (100, 90)).save(root / "images" / "B1.jpg")
    with pytest.raises(DataError) as caught:
        read(root)
    text = str(caught.value)
    assert "3 faults" in text
    assert "A1: the file spots/A1_selection.tsv (or .csv, or either with .gz) is missing" in text
    assert "B1: 1 count is negative" in text
    assert re.search(r"B1: \d+ of 35 observations lie outside the image of 100 × 90 px", text)


def test_missing_columns(st):
    root = st()
    change(root / "spots" / "A1_selection.tsv", lambda f: f.drop(columns=["new_x", "selected"]))
    with pytest.raises(DataError, match="no column new_x, selected; it has x, y, new_y"):
        read(root)


def test_labels_without_their_column(st):
    root = st()
    change(root / "labels" / "A1_labeled_coordinates.tsv", lambda f: f.rename(columns={"label": "region"}))
    with pytest.raises(DataError, match="no column label; it has x, y, region"):
        read(root)


def test_two_labels_on_one_spot(st):
    root = st()
    change(root / "labels" / "A1_labeled_coordinates.tsv", lambda f: pd.concat([f, f.iloc[[4]]]))
    with pytest.raises(DataError, match=r"1 spots are there more than once \(6x2\) in A1_labeled"):
        read(root)


def test_duplicate_spots_in_counts(st):
    root = st()
    edit_counts(root, lambda f: f.rename(index={"5x2": "4x2"}))
    with pytest.raises(DataError, match=r"more than once \(4x2\) in its counts"):
        read(root)


def test_duplicate_genes(st):
    root = st(genes=["G0", "G0", *[f"H{i}" for i in range(60)]])
    with pytest.raises(DataError, match="1 gene names are there more than once: G0"):
        read(root)


def test_truncated_gzip(st):
    root = st()
    path = root / "counts" / "A1.tsv.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="A1.tsv.gz is cut short or damaged"):
        read(root)


def test_not_a_gzip(st):
    root = st()
    (root / "counts" / "A1.tsv.gz").write_text("no gzip")
    with pytest.raises(DataError, match="A1.tsv.gz cannot be read"):
        read(root)


def test_ragged_lines(st):
    root = st()
    path = root / "counts" / "A1.tsv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    lines[5] = lines[5].rpartition("\t")[0]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(DataError, match="line 6 of A1.tsv.gz has 59 values, the lines before it 60"):
        read(root)


def test_truncated_image(st):
    root = st()
    path = root / "images" / "A1.jpg"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="A1.jpg is cut short"):
        read(root)


def test_no_selected_spot_is_in_the_counts(st):
    root = st()
    edit_counts(root, lambda f: f.set_axis([f"{i}x99" for i in range(len(f))]))
    with pytest.raises(DataError, match="none of the 36 spots of its counts is a selected spot"):
        read(root)


def test_empty_and_all_zero_counts(st):
    root = st()
    edit_counts(root, lambda f: f * 0)
    with pytest.raises(DataError, match="all counts are zero"):
        read(root)
    edit_counts(root, lambda f: f.iloc[:0])
    with pytest.raises(DataError, match="none of the 0 spots"):
        read(root)


def test_a_spot_without_counts_is_kept(st):
    root = st()
    edit_counts(root, lambda f: f.mul(f.index != "4x2", axis=0))
    assert "4x2" in read(root).obs_names


def test_coordinates_that_are_missing(st):
    root = st()
    change(root / "spots" / "A1_selection.tsv", lambda f: f.assign(pixel_x=f.pixel_x.where(f.index != 4)))
    with pytest.raises(DataError, match="1 observations have no finite coordinates: 6x2"):
        read(root)


def test_scales_of_x_and_y_that_disagree_are_told(st):
    root = st(image=False)
    change(root / "spots" / "A1_selection.tsv", lambda f: f.assign(pixel_y=f.pixel_y * 1.1))
    with pytest.warns(TriptychWarning, match="5 µm along x and 4.545 µm along y"):
        read(root)


def test_unknown_sample_and_truth(st):
    root = st()
    with pytest.raises(DataError, match=r"no sample A7; there is A1"):
        read(root, ReadOptions(samples=("A7",)))
    with pytest.raises(DataError, match="no column zone to take the truth from; the observations have"):
        read(root, ReadOptions(truth="zone"))
    with pytest.raises(DataError, match="no value of the column label is a label"):
        read(root, ReadOptions(truth="label", unlabelled=("tumour", "stroma", "undetermined")))


def test_no_shared_gene(st):
    st("A1", genes=["G1", "G2"])
    root = st("B1", genes=["H1", "H2"])
    with pytest.raises(DataError, match=r"share no gene \(A1: G1, G2; B1: H1, H2\)"):
        read(root)


def test_few_shared_genes_are_told(st):
    st("A1", genes=["G1", "G2"])
    root = st("B1", genes=["G1", "H2"])
    with pytest.warns(TriptychWarning, match="A1, B1 share only 1 genes, of 2 to 2 each"):
        read(root)


@pytest.mark.data
def test_her2st():
    data = os.environ.get("TRIPTYCH_DATA")
    if not data:
        pytest.skip("TRIPTYCH_DATA is not set")
    with warnings.catch_warnings():
        warnings.simplefilter("error", TriptychWarning)
        table = read(Path(data) / "her2st", ReadOptions(samples=("B1", "C1", "D1", "G2")))
    assert table.obs["sample"].value_counts().to_dict() == {"B1": 295, "C1": 176, "D1": 306, "G2": 467}
    assert list(table.obs.donor.cat.categories) == ["B", "C", "D", "G"]
    assert set(table.obs.truth.cat.categories) == {
        "adipose tissue",
        "breast glands",
        "cancer in situ",
        "connective tissue",
        "immune infiltrate",
        "invasive cancer",
    }
    assert table.uns["triptych"]["samples"].mpp.between(0.68, 0.70).all()
    assert table.obsm["abundance"].shape == (1244, 8)
    sums = table.obsm["abundance"].sum(axis=1)
    assert np.allclose(sums, 1, atol=1e-3)
    pictured = read(Path(data) / "her2st", ReadOptions(samples=("C2",)))
    assert Path(pictured.uns["triptych"]["samples"].image["C2"]).is_file()
