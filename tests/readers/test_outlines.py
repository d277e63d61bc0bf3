"""Outlines of nuclei from every kind of file, and what may be wrong with them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image

from triptych.core.errors import DataError, TriptychWarning
from triptych.maths.polygons import areas_px, crossing
from triptych.readers.outline_files import read_rings
from triptych.readers.outlines import outlines_of
from triptych.readers.sections import About

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
IDS = ["aa-1", "bb-1", "cc-1"]
RINGS = [SQUARE + 10, SQUARE[:3] + 20, SQUARE * 2 + 30]


def vertices(ids=IDS, rings=RINGS, *, closed=True):
    rows = [
        (name, *point)
        for name, ring in zip(ids, rings, strict=True)
        for point in (np.vstack([ring, ring[:1]]) if closed else ring)
    ]
    return pd.DataFrame(rows, columns=["cell_id", "vertex_x", "vertex_y"])


def write_polygons(path, shapes, *, words=None, geometry="geometry", **columns):
    table = pa.table({**columns, geometry: pa.array(list(shapely.to_wkb(shapes)), pa.binary())})
    keys = {key: json.dumps(value) for key, value in (words or {}).items()}
    pq.write_table(table.replace_schema_metadata(keys), path)
    return path


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (60, 50)).save(tmp_path / "he.png")
    return str(tmp_path / "he.png")


def about(path, **words):
    return About(nucleus_boundaries=str(path), **words)


def check(outlines, rows=(0, 1, 2)):
    np.testing.assert_array_equal(outlines.first, [0, 4, 7, 11])
    np.testing.assert_allclose(outlines.px, np.concatenate(RINGS))
    np.testing.assert_array_equal(outlines.row, rows)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("ending", ["parquet", "csv.gz", "csv"])
def test_vertices_as_xenium_writes_them(tmp_path, ending, closed):
    path = tmp_path / f"nucleus_boundaries.{ending}"
    frame = vertices(closed=closed)
    frame.to_parquet(path) if ending == "parquet" else frame.to_csv(path, index=False)
    check(outlines_of(about(path), np.array(["bb-1", "x", "aa-1"])), rows=(2, 0, -1))


@pytest.mark.parametrize("kind", ["bytes", "numbers"])
def test_ids_of_older_versions(tmp_path, kind):
    frame = vertices(["7", "8", "9"])
    number = frame["cell_id"].astype(int)
    frame["cell_id"] = number if kind == "numbers" else frame["cell_id"].str.encode("utf-8")
    frame.to_parquet(tmp_path / "n.parquet")
    check(outlines_of(about(tmp_path / "n.parquet"), np.array(["7", "8", "9"])))


def test_a_cell_may_have_several_nuclei(tmp_path):
    frame = vertices(["aa-1", "bb-1", "aa-1"])
    frame["label_id"] = np.repeat([1, 2, 3], [5, 4, 5])
    frame.to_parquet(tmp_path / "n.parquet")
    check(outlines_of(about(tmp_path / "n.parquet"), np.array(["aa-1", "bb-1"])), rows=(0, 1, 0))


def test_the_matrix_moves_outlines_into_the_picture(tmp_path, image):
    path = tmp_path / "n.parquet"
    vertices().to_parquet(path)
    matrix = [[0.0, -1.0, 50.0], [1.0, 0.0, 5.0]]
    section = about(path, outline_matrix=json.dumps(matrix), image=image)
    found = outlines_of(section, np.array(IDS))
    np.testing.assert_allclose(found.px[0], [50 - 10, 10 + 5])
    np.testing.assert_allclose(areas_px(found), [16, 8, 64])


@pytest.mark.parametrize("names", ["column", "index", "unnamed index", "none"])
def test_polygons_of_geoparquet(tmp_path, names):
    shapes = [shapely.Polygon(ring) for ring in RINGS]
    ids = {"column": "cell_id", "index": "nucleus", "unnamed index": "__index_level_0__"}.get(names)
    columns = {ids: pa.array([name.encode() for name in IDS])} if ids else {}
    words = {"geo": {"primary_column": "geometry"}}
    if names in ("index", "unnamed index"):
        words["pandas"] = {"index_columns": [ids]}
    path = write_polygons(tmp_path / "n.parquet", shapes, words=words, **columns)
    check(outlines_of(about(path), np.array(IDS if ids else ["0", "1", "2"])))


def test_polygons_in_a_column_of_another_name_and_in_several_parts(tmp_path):
    both = shapely.MultiPolygon([shapely.Polygon(RINGS[0]), shapely.Polygon(RINGS[1])])
    path = write_polygons(
        tmp_path / "n.parquet",
        [both, shapely.Polygon(RINGS[2])],
        words={"geo": {"primary_column": "outline"}},
        geometry="outline",
        cell_id=pa.array([4, 5]),
    )
    check(outlines_of(about(path), np.array(["4", "5"])), rows=(0, 0, 1))


def test_rings_that_cross_themselves_are_told_and_kept(tmp_path, image):
    bow = SQUARE[[0, 2, 1, 3]] + 10
    vertices(rings=[bow, *RINGS[1:]]).to_parquet(tmp_path / "n.parquet")
    with pytest.warns(TriptychWarning, match=r"1 of 3 cross themselves \(33.3%\); they are kept"):
        found = outlines_of(about(tmp_path / "n.parquet", image=image), np.array(IDS))
    np.testing.assert_array_equal(crossing(found), [True, False, False])
    np.testing.assert_array_equal(found.row, [0, 1, 2])


def test_rings_without_three_points_are_told_and_left_out(tmp_path):
    frame = vertices(rings=[RINGS[0], SQUARE[[0, 1, 0, 1]], RINGS[2]])
    frame.to_parquet(tmp_path / "n.parquet")
    with pytest.warns(TriptychWarning, match="1 of 3 have fewer than three distinct points"):
        found = outlines_of(about(tmp_path / "n.parquet"), np.array(IDS))
    np.testing.assert_array_equal(found.row, [0, 2])
    np.testing.assert_array_equal(found.first, [0, 4, 8])
    shapes = [shapely.Polygon(), shapely.Polygon(RINGS[0])]
    path = write_polygons(tmp_path / "p.parquet", shapes, cell_id=pa.array(["a", "b"]))
    read = read_rings(path)
    assert (read.flat, list(read.ids), list(read.outlines.row)) == (1, ["b"], [0])


def test_some_rings_outside_the_picture_are_told(tmp_path, image):
    rings = [SQUARE + i for i in range(40)] + [SQUARE + 100]
    vertices([f"c{i}" for i in range(41)], rings).to_parquet(tmp_path / "n.parquet")
    section = about(tmp_path / "n.parquet", image=image)
    with pytest.warns(TriptychWarning, match=r"1 of 41 lie outside the picture \(2.4%\)"):
        assert len(outlines_of(section, np.array(["c1"])).row) == 41


def test_all_faults_are_shown_together(tmp_path, image):
    vertices(rings=[ring + 100 for ring in RINGS]).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(DataError, match="2 faults") as caught:
        outlines_of(about(tmp_path / "n.parquet", image=image), np.array(["x", "y"]))
    assert "none of the 3 cells of the outlines (aa-1, bb-1 and 1 more) is among the 2" in str(caught.value)
    assert "3 of 3 outlines lie outside the picture he.png, the first at (110, 110) px" in str(caught.value)


def test_damaged_files(tmp_path):
    path = tmp_path / "n.parquet"
    vertices().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"n\.parquet is cut short or damaged"):
        outlines_of(about(path), np.array(IDS))
    with pytest.raises(DataError, match=r"absent\.parquet is missing"):
        outlines_of(about(tmp_path / "absent.parquet"), np.array(IDS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"vertex_x": "x"}), "has no outlines: it has the columns cell_id, x"),
        (lambda f: f.assign(vertex_x=np.nan), "14 vertices of n.parquet have no finite coordinates"),
        (lambda f: f[:0], "has no outlines: it is empty"),
        (lambda f: f.assign(vertex_x=1.0, vertex_y=2.0), "none of the 3 outlines .* three distinct points"),
    ],
)
def test_vertices_that_are_no_outlines(tmp_path, change, message):
    change(vertices()).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(DataError, match=message):
        outlines_of(about(tmp_path / "n.parquet"), np.array(IDS))


def test_geometry_that_is_no_polygon(tmp_path):
    path = write_polygons(tmp_path / "n.parquet", [shapely.Point(1, 2), shapely.Polygon(SQUARE)])
    with pytest.raises(DataError, match=r"1 of 2 outlines of n\.parquet are missing or no polygons"):
        read_rings(path)
    pd.DataFrame({"geometry": ["POLYGON"]}).to_parquet(path)
    with pytest.raises(DataError, match="of type .*string, not polygons in WKB"):
        read_rings(path)
    pq.write_table(pa.table({"geometry": pa.array([b"\x01nonsense"])}), path)
    with pytest.raises(DataError, match="1 of 1 outlines"):
        read_rings(path)


@pytest.mark.parametrize("text", ["[[1, 2], [3]]", "nonsense", "[[1, 0, 0], [0, NaN, 0]]"])
def test_a_matrix_that_is_none(tmp_path, text):
    with pytest.raises(DataError, match="the matrix of the outlines"):
        outlines_of(about(tmp_path / "n.parquet", outline_matrix=text), np.array(IDS))


@pytest.mark.data
def test_xeniums_own_file(real_data):
    path = real_data / "xenium_lung" / "nucleus_boundaries.parquet"
    frame = pd.read_parquet(path)
    cells = frame["cell_id"].unique().astype(str)
    found = outlines_of(about(path), cells)
    np.testing.assert_array_equal(found.row, np.arange(len(cells)))
    ring = frame[frame["cell_id"].astype(str) == cells[5]][["vertex_x", "vertex_y"]].to_numpy()
    np.testing.assert_allclose(areas_px(found)[5], shapely.Polygon(ring).area, rtol=1e-4)
