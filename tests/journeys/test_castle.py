"""castle as a user runs it: a Xenium bundle from files to report, and its model applied to another donor."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

pytest.importorskip("umap")
pytest.importorskip("pyarrow")

SMALL = (
    "sdae.hidden=[48, 24]", "sdae.latent=12", "sdae.least_steps=200", "sdae.epochs=2", "sdae.pretraining=1",
    "dec.steps=120", "dec.update_interval=40", "umap.most=500", "umap.neighbours=10",
)  # fmt: skip


def triptych(where, *words, code=0):
    command = [sys.executable, "-m", "triptych", *map(str, words)]
    environment = {**os.environ, "TRIPTYCH_CACHE_DIR": str(where / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=where, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run on the first donor of the cells that come with the package."""
    where = tmp_path_factory.mktemp("castle")
    changes = [word for change in SMALL for word in ("--set", change)]
    triptych(where, "run", "castle-stain", "toy-cells", "--samples", "A1", "-o", "out", *changes)
    return where


def test_labels_tell_types_and_simple_baselines_stand_beside(place):
    scores = pd.read_csv(place / "out" / "scores.csv")
    value = scores[scores["sample"] == "A1"].set_index(["metric", "slot"])["value"]
    shuffled = value["majority-accuracy", "control:shuffled"]
    for slot in (
        "obs:domain",
        "obs:domain.genes-alone",
        "obs:domain.pca",
        "obs:domain.dec",
        "obs:domain.dec-balanced",
        "obs:domain.louvain",
    ):
        assert value["majority-accuracy", slot] > shuffled + 0.1
    assert value["types-found", "control:oracle"] == 7
    protocols = scores.set_index("slot")["protocol"]
    assert protocols["obs:domain.louvain"].unique().tolist() == ["transductive"]
    assert protocols["obs:domain.dec"].str.startswith("transductive, oracle K").all()


def test_the_stages_are_in_the_table_and_drawn(place):
    table = read_h5ad(place / "out" / "table.h5ad")
    widths = {name: table.obsm[f"X_fused.{name}"].shape[1] for name in ("concat", "pca", "sdae", "dec")}
    assert widths == {"concat": 60 + 64 + 40, "pca": 32, "sdae": 12, "dec": 12}
    assert all(table.obsm[f"X_map.{name}"].shape == (table.n_obs, 2) for name in ("concat", "sdae", "dec"))
    page = (place / "out" / "report.html").read_text()
    assert page.index("umap of X_fused.concat") < page.index("umap of X_fused.sdae")
    assert "Peak memory" in page


def test_recall_of_every_type_is_told(place):
    recall = pd.read_csv(place / "out" / "tables" / "recall.csv").set_index("group")
    table = read_h5ad(place / "out" / "table.h5ad")
    assert recall["n"].to_dict() == table.obs["truth"].value_counts().to_dict()
    crossed = pd.crosstab(table.obs["domain"], table.obs["truth"])
    majority = crossed.idxmax(axis=1)
    for kind in crossed.columns:
        found = crossed.loc[majority == kind, kind].sum() / crossed[kind].sum()
        assert recall.loc[kind, "recall"] == pytest.approx(found)


def test_another_donor_is_labelled_by_the_model_alone(place):
    triptych(place, "apply", "out", "toy-cells", "--samples", "B1", "-o", "new")
    new = read_h5ad(place / "new" / "table.h5ad")
    assert new.obsm["X_fused.dec"].shape == (new.n_obs, 12)
    assert np.isfinite(new.obsm["X_map.sdae"]).all()
    scores = pd.read_csv(place / "new" / "scores.csv")
    assert (
        scores.query("metric == 'majority-accuracy' and slot == 'obs:domain'")["protocol"]
        .str.contains("donor held out")
        .all()
    )


def test_steps_say_how_long_they_took_and_how_much_memory(place):
    steps = json.loads((place / "out" / "provenance.json").read_text())["steps"]
    assert all(step["peak_mib"] > 50 and step["seconds"] > 0 for step in steps)


def test_without_weights_the_error_says_where_to_get_them(place):
    words = ("run", "castle", "toy-cells", "--set", "dinov2.weights=nowhere", "-o", "no")
    done = triptych(place, *words, code=4)
    assert "there is no nowhere" in done.stderr
    assert "huggingface.co/facebook/dinov2-small" in done.stderr
