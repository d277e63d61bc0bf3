"""Tables of cells and transcripts that do not tell whose a transcript is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers import registry
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read


@pytest.fixture
def tables(tmp_path, rng):
    folder = tmp_path / "points"
    folder.mkdir()
    cells = pd.DataFrame({"anno": np.repeat(["Tumor", "T"], 10), "cluster": "c1"})
    cells[["x", "y"]] = rng.random((20, 2)) * 100
    cells["cells"], cells["sample"] = np.arange(20) + 160, "rep1"
    cells.to_csv(folder / "rep1_cells.csv.gz", index=False)
    points = pd.DataFrame(rng.random((500, 2)) * 120, columns=["x", "y"])
    points["feature_name"] = [f"g{i}" for i in rng.integers(0, 52, 500)]
    points.loc[:20, "feature_name"] = "NegControlProbe_1"
    points.to_csv(folder / "rep1_transcripts.csv.gz", index=False)
    return folder


def loaded(folder):
    with pytest.warns(TriptychWarning) as warned:
        return read(folder), [str(w.message) for w in warned]


def test_nearest_centre_against_a_loop(tables):
    table, words = loaded(tables)
    cells = pd.read_csv(tables / "rep1_cells.csv.gz")
    points = pd.read_csv(tables / "rep1_transcripts.csv.gz").iloc[21:]
    wanted, away = pd.DataFrame(0, index=cells["cells"].astype(str), columns=table.var_names), 0
    for x, y, gene in points.itertuples(index=False):
        distance = np.hypot(cells["x"] - x, cells["y"] - y)
        if distance.min() < 10:
            wanted.loc[str(cells["cells"][distance.argmin()]), gene] += 1
        else:
            away += 1
    assert list(table.obs_names) == list(wanted.index)
    np.testing.assert_array_equal(table.layers["counts"].toarray(), wanted)
    assert any(
        "rep1: rep1_transcripts.csv.gz does not tell whose" in w and f"{away} of 479" in w for w in words
    )
    np.testing.assert_allclose(table.obsm["spatial_um"], cells[["x", "y"]])
    assert list(table.obs["truth"].astype(str)) == list(cells["anno"])
    assert table.uns["triptych"]["truth_column"] == "anno"


def test_the_reach_is_a_parameter(tables):
    with pytest.warns(TriptychWarning, match="within 2 µm"):
        near = registry.make("xenium", {"reach_um": 2}).read(tables, ReadOptions())
    assert near.layers["counts"].sum() < loaded(tables)[0].layers["counts"].sum()


def changed(path: Path, change):
    change(pd.read_csv(path)).to_csv(path, index=False)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "cells",
            lambda f: f.assign(x=f["x"].where(f.index > 0)),
            "1 cells of rep1_cells.csv.gz have no finite",
        ),
        ("cells", lambda f: f.assign(cells=1), "1 cells are there more than once in rep1_cells.csv.gz"),
        ("transcripts", lambda f: f.assign(y=np.nan), "some transcripts of .* have no finite coordinates"),
        (
            "transcripts",
            lambda f: f.assign(y=1e6),
            "none of the 479 transcripts .* is within 10 µm of a cell",
        ),
    ],
)
def test_faults(tables, file, change, message):
    changed(tables / f"rep1_{file}.csv.gz", change)
    with pytest.raises(DataError, match=message):
        read(tables)


def test_not_other_tables(tables):
    changed(tables / "rep1_transcripts.csv.gz", lambda f: f.rename(columns={"x": "X"}))
    with pytest.raises(DataError, match="no known layout"):
        read(tables)


@pytest.mark.data
def test_janesick(data_folder):
    table, words = loaded(data_folder / "xenium_breast")
    assert table.shape == (1705, 20)
    assert table.obs["truth"].nunique() == 8
    assert table.layers["counts"].sum() == 78127
    assert "1449 of 79576 are left out" in words[0]


@pytest.mark.data
def test_lung(data_folder):
    with pytest.warns(TriptychWarning, match="29 of 164 cells have neither a centroid nor an outline"):
        table = read(data_folder / "xenium_lung")
    frame = pd.read_parquet(data_folder / "xenium_lung/transcripts.parquet")
    controls = ("NegControl", "antisense_", "BLANK_", "UnassignedCodeword_", "DeprecatedCodeword_")
    keep = (frame["qv"] >= 20) & (frame["cell_id"] != "UNASSIGNED")
    keep &= ~frame["feature_name"].str.startswith(controls)
    wanted = frame[keep].groupby(["cell_id", "feature_name"]).size().unstack(fill_value=0)
    assert table.shape == wanted.shape
    found = table.to_df("counts").loc[wanted.index, wanted.columns]
    np.testing.assert_array_equal(found, wanted)
    assert table.obs["nucleus_area_um2"].notna().sum() == 135
    assert np.isfinite(table.obsm["spatial_um"]).all()


@pytest.fixture
def data_folder():
    import os

    place = os.environ.get("TRIPTYCH_DATA", "")
    if not place:
        pytest.skip("TRIPTYCH_DATA names no folder of real data")
    return Path(place)
