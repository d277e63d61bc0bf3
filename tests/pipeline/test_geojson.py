"""What other programs are given: valid, of the numbers of the table, and written piece by piece."""

import json
import tracemalloc
import uuid

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, MissingSlotError
from triptych.pipeline import geojson
from triptych.pipeline.geojson import write_abundance, write_geojson

TYPES = ["Cancer", 'B "cells"\n§', "T/NK é"]
SLOT = "obsm:abundance.mlp"


@pytest.fixture
def study(make_table, rng):
    table = make_table(samples=("A1",))
    values = rng.dirichlet(np.ones(3), table.n_obs)
    for end, move in (("", 0.0), (".low", -0.1), (".high", 0.1)):
        frame = pd.DataFrame(np.clip(values + move, 0, None), table.obs_names, TYPES)
        table.obsm[f"abundance.mlp{end}"] = frame
    return table


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def read(path):
    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def test_a_feature_for_each_observation(study, tmp_path):
    write_geojson(tmp_path / "a.geojson", study, SLOT)
    made = read(tmp_path / "a.geojson")
    assert made["type"] == "FeatureCollection"
    assert len(made["features"]) == study.n_obs
    values, low, high = (study.obsm[f"abundance.mlp{end}"].to_numpy() for end in ("", ".low", ".high"))
    for i, one in enumerate(made["features"]):
        said = one["properties"]
        assert (one["type"], one["geometry"]["type"]) == ("Feature", "Polygon")
        assert (said["objectType"], said["name"]) == ("detection", study.obs_names[i])
        for k, name in enumerate(TYPES):
            for words, numbers in ((name, values), (f"{name} low", low), (f"{name} high", high)):
                assert said["measurements"][words] == pytest.approx(numbers[i, k], abs=1e-6)
        assert len(said["measurements"]) == 9
        assert said["classification"]["name"] == TYPES[values[i].argmax()]
        assert all(0 <= part <= 255 and isinstance(part, int) for part in said["classification"]["color"])
    assert len({one["id"] for one in made["features"]}) == study.n_obs
    assert uuid.UUID(made["features"][0]["id"])


def test_squares_of_the_pitch_in_pixels(study, tmp_path):
    write_geojson(tmp_path / "a.geojson", study, SLOT)  # 200 µm at 2 µm per pixel
    for one, (x, y) in zip(read(tmp_path / "a.geojson")["features"], study.obsm["spatial"], strict=True):
        (ring,) = one["geometry"]["coordinates"]
        corners = [(-50, -50), (50, -50), (50, 50), (-50, 50), (-50, -50)]
        assert ring == [[x + a, y + b] for a, b in corners]


def test_without_a_pitch_the_nearest_neighbour_tells_the_width(study, tmp_path):
    study.uns["triptych"]["samples"]["pitch_um"] = np.nan
    study.obsm["spatial"] = study.obsm["spatial"] * 0.7
    write_geojson(tmp_path / "a.geojson", study, SLOT)
    (ring,) = read(tmp_path / "a.geojson")["features"][0]["geometry"]["coordinates"]
    assert ring[1][0] - ring[0][0] == pytest.approx(70)


def test_what_is_not_known_is_left_out(study, tmp_path):
    study.obsm["abundance.mlp"].iloc[3] = np.nan
    study.obsm["abundance.mlp"].iloc[4, 1] = np.nan
    study.obsm["abundance.mlp.high"].iloc[4, 0] = np.inf
    write_geojson(tmp_path / "a.geojson", study, SLOT)
    features = read(tmp_path / "a.geojson")["features"]
    assert "classification" not in features[3]["properties"]
    assert TYPES[0] not in features[3]["properties"]["measurements"]
    said = features[4]["properties"]
    assert not {TYPES[1], f"{TYPES[0]} high"} & set(said["measurements"])
    assert said["classification"]["name"] != TYPES[1]


def test_without_intervals(study, tmp_path):
    del study.obsm["abundance.mlp.low"]
    write_geojson(tmp_path / "a.geojson", study, SLOT)
    assert set(read(tmp_path / "a.geojson")["features"][0]["properties"]["measurements"]) == set(TYPES)
    write_abundance(tmp_path / "a.csv", study, SLOT)
    assert list(pd.read_csv(tmp_path / "a.csv").columns[5:]) == TYPES


def test_colours(study, tmp_path):
    write_geojson(tmp_path / "a.geojson", study, SLOT, colours={"Cancer": (1, 2, 3), "Other": (9, 9, 9)})
    found = {}
    for one in read(tmp_path / "a.geojson")["features"]:
        said = one["properties"]["classification"]
        assert found.setdefault(said["name"], said["color"]) == said["color"]
    assert found.pop("Cancer") == [1, 2, 3]
    assert len({tuple(colour) for colour in found.values()}) == 2


def test_one_sample_of_several(make_table, tmp_path, rng):
    table = make_table()
    table.obsm["abundance"] = pd.DataFrame(rng.random((table.n_obs, 2)), table.obs_names, ["a", "b"])
    with pytest.raises(DataError, match="belongs to one slide, and there are A1, A2, B1. Name the sample"):
        write_geojson(tmp_path / "a.geojson", table, "obsm:abundance")
    with pytest.raises(DataError, match="no sample C. There is: A1, A2, B1"):
        write_geojson(tmp_path / "a.geojson", table, "obsm:abundance", sample="C")
    write_geojson(tmp_path / "a.geojson", table, "obsm:abundance", sample="A2")
    names = {one["properties"]["name"] for one in read(tmp_path / "a.geojson")["features"]}
    assert names == set(table.obs_names[table.obs["sample"] == "A2"])


@pytest.mark.parametrize("write", [write_geojson, write_abundance])
def test_slots_that_are_none(study, tmp_path, write):
    with pytest.raises(MissingSlotError, match=r"no obsm:abundance\.knn. obsm has: spatial"):
        write(tmp_path / "a", study, "obsm:abundance.knn")
    study.obsm["abundance.mlp.low"] = study.obsm["abundance.mlp.low"].iloc[:, ::-1]
    with pytest.raises(DataError, match="no frames with the same column for each type"):
        write(tmp_path / "a", study, SLOT)
    with pytest.raises(DataError, match="obsm:spatial are no frames"):
        write(tmp_path / "a", study, "obsm:spatial")


def test_the_table_of_numbers(study, tmp_path):
    write_abundance(tmp_path / "a.csv", study, SLOT)
    made = pd.read_csv(tmp_path / "a.csv", index_col="id")
    places = ["x_px", "y_px", "x_um", "y_um"]
    assert list(made.columns) == [
        *places,
        *TYPES,
        *(f"{t} low" for t in TYPES),
        *(f"{t} high" for t in TYPES),
    ]
    assert list(made.index) == list(study.obs_names)
    where = np.hstack([study.obsm["spatial"], study.obsm["spatial_um"]])
    assert np.allclose(made[places], where)
    assert np.allclose(made[TYPES], study.obsm["abundance.mlp"], atol=1e-6)
    assert np.allclose(made[f"{TYPES[1]} high"], study.obsm["abundance.mlp.high"][TYPES[1]], atol=1e-6)


def test_the_table_of_a_study_without_scale(study, tmp_path):
    del study.obsm["spatial_um"]
    write_abundance(tmp_path / "a.csv", study, SLOT)
    assert pd.read_csv(tmp_path / "a.csv")[["x_um", "y_um"]].isna().all(axis=None)


def test_it_is_written_piece_by_piece(make_table, tmp_path, monkeypatch, rng):
    """The same text whatever the pieces; and memory that does not grow with what is written."""
    table = make_table(side=40, genes=2, samples=("A1",))
    table.obsm["abundance"] = pd.DataFrame(rng.random((table.n_obs, 2)), table.obs_names, ["a", "b"])
    sizes = {}
    for at_once in (100, 10_000):
        monkeypatch.setattr(geojson, "AT_ONCE", at_once)
        tracemalloc.start()
        write_geojson(tmp_path / f"{at_once}.geojson", table, "obsm:abundance")
        sizes[at_once] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    texts = [(tmp_path / f"{at_once}.geojson").read_text("utf-8") for at_once in sizes]
    assert texts[0] == texts[1]
    assert sizes[100] < 0.4 * sizes[10_000]
