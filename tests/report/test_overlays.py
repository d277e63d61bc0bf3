"""What is written of slides without molecules: every number as in the table, every name inside the folder."""

import json

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image

from triptych.pipeline.record import RunRecord, StepRecord
from triptych.pipeline.scoring import table as no_scores
from triptych.report.overlays import FOLDER, MAPS, write_slides

TYPES = [f"type {k}" for k in range(MAPS + 2)]
SIZE = 400


@pytest.fixture
def slide(tmp_path):
    """Slides of 10 × 10 patches of 40 px, of some names."""

    def make(*names, pitch_um=20.0, mpp=0.5):
        rng = np.random.default_rng(0)
        row, column = np.divmod(np.arange(100), 10)
        whose = np.repeat(names, 100)
        obs = pd.DataFrame(
            {"sample": whose, "donor": whose, "batch": whose}, [f"{w} {i}" for i, w in enumerate(whose)]
        )
        px = np.tile(np.column_stack([column, row]) * 40.0 + 20, (len(names), 1))
        table = AnnData(obs=obs, obsm={"spatial": px})
        if np.isfinite(mpp):
            table.obsm["spatial_um"] = px * mpp
        path = tmp_path / "picture.png"
        Image.fromarray(rng.integers(100, 200, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)
        values = rng.dirichlet(np.ones(len(TYPES)), table.n_obs)
        for end, move in (("", 0), (".low", -0.05), (".high", 0.05)):
            frame = pd.DataFrame(np.clip(values + move, 0, None), table.obs_names, TYPES)
            table.obsm[f"abundance.mlp{end}"] = frame
        about = {
            "donor": list(names), "image": str(path), "image_scale": 1.0, "mpp": mpp, "spot_um": np.nan,
            "pitch_um": pitch_um, "lattice": "square",
        }  # fmt: skip
        table.uns["triptych"] = {"samples": pd.DataFrame(about, index=list(names))}
        return table

    return make


def record(*slots):
    steps = [
        StepRecord(i, "predict", "mlp", slot, {}, {}, "study", {}) for i, slot in enumerate(slots, start=1)
    ]
    return RunRecord(
        recipe="r", title="", cite="", seed=0, data="", options="", data_identity="", steps=steps,
        scores=no_scores([]), warnings=[], versions={}, started="", seconds=0, peak_mib=0,
    )  # fmt: skip


LAST = record("obsm:abundance.mean", "obsm:abundance.mlp")


def test_the_slot_that_was_predicted_last_is_written(slide, tmp_path):
    table = slide("S1")
    table.obsm["abundance.mean"] = table.obsm["abundance.mlp"] * 0
    write_slides(table, LAST, tmp_path)
    place = tmp_path / FOLDER
    assert {path.name for path in place.iterdir()} == {"abundance.csv", "S1.geojson", "S1.png"}
    written = pd.read_csv(place / "abundance.csv", index_col="id")
    assert np.allclose(written[TYPES], table.obsm["abundance.mlp"], atol=1e-6)
    features = json.loads((place / "S1.geojson").read_text("utf-8"))["features"]
    assert len(features) == table.n_obs
    for one in features:
        said = one["properties"]["measurements"]
        assert said["type 3"] == pytest.approx(written.loc[one["properties"]["name"], "type 3"], abs=1e-6)
        corners = np.array(one["geometry"]["coordinates"][0])
        assert corners.min() >= 0
        assert corners.max() <= SIZE
    with Image.open(place / "S1.png") as picture:
        assert min(picture.size) > 300


@pytest.mark.parametrize("what", ["genes", "no prediction"])
def test_nothing_is_written_of_other_studies(slide, tmp_path, what):
    table = slide("S1")
    if what == "genes":
        table = AnnData(
            np.zeros((table.n_obs, 2)),
            table.obs,
            obsm=dict(table.obsm),
            uns={"triptych": table.uns["triptych"]},
        )
    write_slides(table, LAST if what == "genes" else record(), tmp_path)
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize("name", ["../../etc/x", "..", "a/b\\c", "größe & <b>:\n"])
def test_names_stay_in_the_folder(slide, tmp_path, name):
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    table = slide(name)
    write_slides(table, LAST, out)
    written = [path for path in (out / FOLDER).iterdir() if path.name != "abundance.csv"]
    assert {path.suffix for path in written} == {".geojson", ".png"}
    assert len(written) == 2
    assert not any(path.name.startswith(".") or set(path.name) & set('/\\<>&:\n" ') for path in written)
    after = {path for path in tmp_path.rglob("*") if out not in path.parents}
    assert {path.name for path in after - before} <= {"picture.png"}


def test_names_that_become_alike_do_not_overwrite_each_other(slide, tmp_path):
    write_slides(slide("a/b", "a_b", "A:B"), LAST, tmp_path)
    found = sorted((tmp_path / FOLDER).glob("*.geojson"))
    assert len(found) == 3
    owners = {json.loads(p.read_text("utf-8"))["features"][0]["properties"]["name"][:3] for p in found}
    assert owners == {"a/b", "a_b", "A:B"}


def test_without_a_scale_the_nearest_patch_tells_the_width(slide, tmp_path):
    write_slides(slide("S1", pitch_um=np.nan, mpp=np.nan), LAST, tmp_path)
    one = json.loads((tmp_path / FOLDER / "S1.geojson").read_text("utf-8"))["features"][0]
    assert np.ptp(np.array(one["geometry"]["coordinates"][0])[:, 0]) == 40
    assert (tmp_path / FOLDER / "S1.png").is_file()


def test_patches_of_which_nothing_is_known_are_not_drawn(slide, tmp_path):
    table = slide("S1")
    table.obsm["abundance.mlp"].iloc[:30] = np.nan
    write_slides(table, LAST, tmp_path)
    features = json.loads((tmp_path / FOLDER / "S1.geojson").read_text("utf-8"))["features"]
    assert sum("classification" in one["properties"] for one in features) == 70
    assert (tmp_path / FOLDER / "S1.png").is_file()


def test_a_slide_that_cannot_be_shown_still_has_its_numbers(slide, tmp_path):
    table = slide("S1")
    (tmp_path / "picture.png").write_bytes(b"no picture")
    write_slides(table, LAST, tmp_path)
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {"abundance.csv", "S1.geojson"}
