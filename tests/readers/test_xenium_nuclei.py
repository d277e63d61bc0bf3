"""Counts in nuclei, and outlines in pixels, of a Xenium bundle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely

from triptych.core.errors import DataError
from triptych.maths.polygons import centroids_px
from triptych.readers import registry
from triptych.readers.layouts import ReadOptions
from triptych.readers.outlines import outlines_of
from triptych.readers.read import read
from triptych.readers.sections import about_of
from triptych.readers.toy.cells import ToyCells
from triptych.readers.toy.write_xenium import write_xenium


@pytest.fixture
def folder(tmp_path):
    bundle = next(iter(ToyCells(sections=1, cells=60, genes=56).make()))
    write_xenium(tmp_path / "output", bundle)
    return tmp_path / "output"


def in_nuclei(folder):
    return registry.make("xenium", {"of": "nucleus"}).read(folder, ReadOptions())


def good(folder):
    table = pd.read_parquet(folder / "transcripts.parquet")
    genes = set(read(folder).var_names)
    return table[table["feature_name"].isin(genes) & (table["qv"] >= 20) & (table["cell_id"] != "UNASSIGNED")]


def test_what_overlaps_a_nucleus_is_counted(folder):
    table, whole = good(folder), read(folder)
    expected = table[table["overlaps_nucleus"] == 1].groupby(["cell_id", "feature_name"]).size().unstack()
    found = in_nuclei(folder)
    assert list(found.obs_names) == list(whole.obs_names)
    made = pd.DataFrame(found.layers["counts"].toarray(), found.obs_names, found.var_names)
    wanted = expected.reindex(index=made.index, columns=made.columns).fillna(0)
    np.testing.assert_array_equal(made, wanted)
    assert 0 < made.to_numpy().sum() < whole.layers["counts"].sum()


def test_outlines_say_what_is_inside_where_no_column_does(folder):
    table = good(folder)
    vertices = pd.read_parquet(folder / "nucleus_boundaries.parquet")
    shapes = [shapely.Polygon(part[["vertex_x", "vertex_y"]]) for _, part in vertices.groupby("cell_id")]
    inside = shapely.STRtree(shapes).query(shapely.points(table[["x_location", "y_location"]]), "within")[0]
    number = len(np.unique(inside))
    path = folder / "transcripts.parquet"
    pd.read_parquet(path).drop(columns="overlaps_nucleus").to_parquet(path)
    assert in_nuclei(folder).layers["counts"].sum() == number > 0
    (folder / "nucleus_boundaries.parquet").unlink()
    with pytest.raises(DataError, match="nothing tells which transcripts lie in a nucleus"):
        in_nuclei(folder)


def test_transcripts_are_needed(folder):
    (folder / "transcripts.parquet").unlink()
    with pytest.raises(DataError, match=r"the file transcripts\.parquet is missing"):
        in_nuclei(folder)


def test_nothing_in_a_nucleus(folder):
    path = folder / "transcripts.parquet"
    pd.read_parquet(path).assign(overlaps_nucleus=0).to_parquet(path)
    with pytest.raises(DataError, match="it must be of a gene, in a nucleus, and of a quality"):
        in_nuclei(folder)


def test_outlines_lie_where_the_cells_do(folder):
    table = read(folder)
    section = about_of(table.uns["triptych"]["samples"], "A1")
    outlines = outlines_of(section, table.obs["cell_id"].to_numpy())
    assert (outlines.row >= 0).all()
    away = centroids_px(outlines) - table.obsm["spatial"][outlines.row]
    assert np.abs(away).max() * section.mpp < 5
    (folder / "nucleus_boundaries.parquet").unlink()
    assert read(folder).uns["triptych"]["samples"].loc["A1", "outline_matrix"] == ""
