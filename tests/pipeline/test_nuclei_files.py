"""Nuclei for other programs: polygons for QuPath, a table, shapes of SpatialData, and counts by square."""

import json
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import shapely

from triptych.core.nuclei import Outlines
from triptych.pipeline.nuclei_files import Batch, NucleiFiles, counts_within, write_shapes

CLASSES, MPP = ("a", "b"), 0.5
COLOURS = {"a": (255, 0, 0), "b": (0, 255, 0)}


def batch(centres, types=True, seed=0):
    """Hexagons of radius 4."""
    angle = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    ring = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    px = np.concatenate([np.asarray(centre) + ring for centre in centres]).astype(np.float32)
    n = len(centres)
    chance = np.random.default_rng(seed).dirichlet([1, 1], n).astype(np.float32)
    return Batch(Outlines(px, np.arange(n + 1) * 6, np.arange(n)), chance if types else chance[:, :0])


@pytest.fixture
def written(tmp_path):
    parts = [batch([(10, 20), (30, 40)]), batch([(50, 60)], seed=1)]
    with NucleiFiles(tmp_path / "n.geojson", tmp_path / "n.csv", CLASSES, MPP, COLOURS) as files:
        for part in parts:
            files.add(part)
        whole = files.whole()
    return tmp_path, whole


def test_polygons_are_closed_and_named_by_the_rows_of_the_table(written):
    folder, whole = written
    features = json.loads((folder / "n.geojson").read_text())["features"]
    table = pd.read_csv(folder / "n.csv", index_col="id")
    assert list(table.index) == ["n0", "n1", "n2"] == [one["properties"]["name"] for one in features]
    assert len({one["id"] for one in features}) == 3
    for one, (_, row), chance in zip(features, table.iterrows(), whole.probabilities, strict=True):
        (ring,) = one["geometry"]["coordinates"]
        shape = shapely.Polygon(ring)
        assert ring[0] == ring[-1]
        assert shape.is_valid
        assert [row["x_px"], row["y_px"]] == pytest.approx([shape.centroid.x, shape.centroid.y], abs=1e-2)
        assert [row["x_um"], row["y_um"]] == pytest.approx([row["x_px"] * MPP, row["y_px"] * MPP], abs=1e-3)
        assert row["area_um2"] == pytest.approx(shape.area * MPP**2, abs=0.03)  # corners are rounded
        kind = CLASSES[chance.argmax()]
        assert row["type"] == kind
        assert row["confidence"] == pytest.approx(chance.max(), abs=1e-4)
        assert one["properties"]["classification"] == {"name": kind, "color": list(COLOURS[kind])}
        assert set(one["properties"]["measurements"]) == {
            "x_um", "y_um", "area_um2", "confidence", "p_a", "p_b",
        }  # fmt: skip


def test_all_batches_are_one(written):
    whole = written[1]
    assert len(whole) == 3
    assert whole.outlines.first.tolist() == [0, 6, 12, 18]
    assert whole.outlines.px[12:18].mean(axis=0) == pytest.approx([50, 60])


def test_a_slide_without_nuclei_gives_files_that_can_be_read(tmp_path):
    with NucleiFiles(tmp_path / "n.geojson", tmp_path / "n.csv", CLASSES, MPP, COLOURS) as files:
        whole = files.whole()
    assert json.loads((tmp_path / "n.geojson").read_text()) == {"type": "FeatureCollection", "features": []}
    table = pd.read_csv(tmp_path / "n.csv", index_col="id")
    assert table.empty
    assert {"x_um", "y_um", "area_um2", "type", "confidence", "p_a", "p_b"} <= set(table)
    assert len(whole) == 0
    assert whole.outlines.first.tolist() == [0]


def test_nuclei_of_no_type_are_called_nuclei(tmp_path):
    with NucleiFiles(tmp_path / "n.geojson", tmp_path / "n.csv", (), MPP, {}) as files:
        files.add(batch([(9, 9)], types=False))
    (one,) = json.loads((tmp_path / "n.geojson").read_text())["features"]
    assert one["properties"]["classification"]["name"] == "nucleus"
    assert "type" not in pd.read_csv(tmp_path / "n.csv")


@pytest.mark.skipif(not find_spec("spatialdata"), reason="spatialdata is not installed")
@pytest.mark.parametrize("types", [True, False])
def test_shapes_are_read_back(tmp_path, types):
    from spatialdata import read_zarr

    nuclei = batch([(10, 20), (30, 40)], types)
    write_shapes(tmp_path / "n.zarr", nuclei, CLASSES if types else (), MPP)
    again = read_zarr(tmp_path / "n.zarr")
    found = again["nuclei"].geometry
    assert found.centroid.x.tolist() == pytest.approx([10, 30], abs=1e-3)
    assert found.centroid.y.tolist() == pytest.approx([20, 40], abs=1e-3)
    table = again["nuclei_types"]
    assert np.allclose(table.X, nuclei.probabilities)
    assert list(table.var_names) == (list(CLASSES) if types else [])
    assert list(table.obs["instance"]) == list(again["nuclei"].index)


def test_nuclei_are_counted_in_the_square_that_holds_their_centre(rng):
    x, y = np.meshgrid(np.arange(5), np.arange(4))
    squares = np.stack([x.ravel(), y.ravel()], axis=1) * 10.0 + 5
    squares = squares[rng.random(len(squares)) < 0.7]
    centres, kinds = rng.uniform(-10, 60, (500, 2)), rng.integers(0, 3, 500)
    naive = np.zeros((len(squares), 3))
    for (cx, cy), kind in zip(centres, kinds, strict=True):
        for row, (sx, sy) in enumerate(squares):
            if abs(cx - sx) <= 5 and abs(cy - sy) <= 5:
                naive[row, kind] += 1
    assert np.array_equal(counts_within(centres, kinds, squares, 10, 3), naive)
    assert counts_within(np.empty((0, 2)), np.empty(0), squares, 10, 3).sum() == 0
    assert counts_within(centres, kinds, np.empty((0, 2)), 10, 3).shape == (0, 3)
