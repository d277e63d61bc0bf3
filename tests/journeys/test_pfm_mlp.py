"""Cell types from pictures alone: learned on some donors, told of another, and no byte of the other leaks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

import triptych as tp
from triptych.pipeline.recipe import load
from triptych.pipeline.run import run
from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_spatial_transcriptomics

from .test_apply import files, poison, rewrite, triptych

RECIPE = """\
name: small
seed: 3
steps:
  - {do: encode, use: mean-rgb, with: {window_um: 112}, to: "obsm:X_img.mean-rgb"}
  - {do: encode, use: stain-texture, with: {window_um: 150}, to: "obsm:X_img.stain-texture"}
  - do: predict
    use: ridge
    views: &views {img: "obsm:X_img.stain-texture"}
    with: {scale: section}
    background: &bright "obsm:X_img.mean-rgb"
    to: "obsm:abundance.ridge"
  - do: predict
    use: mlp
    views: *views
    with: {scale: section, hidden: [8], members: 1, epochs: 2}
    background: *bright
    to: "obsm:abundance.mlp"
  - {do: score, use: pearson, guess: "obsm:abundance.mlp"}
  - {do: score, use: coverage, guess: "obsm:abundance.mlp"}
"""
SMALL = ["knn.neighbours=[3,5]", "mlp.hidden=[8]", "mlp.members=1", "mlp.epochs=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study of three donors, and a run on the sections of the first two."""
    where = tmp_path_factory.mktemp("place")
    write_spatial_transcriptomics(
        Toy(donors=3, sections_per_donor=1, side=8, genes=40).make(), where / "study"
    )
    (where / "small.yaml").write_text(RECIPE)
    triptych(where, "run", "small.yaml", "study", "--samples", "A1,B1", "-o", "out")
    return where


@pytest.fixture(scope="module")
def applied(place):
    return triptych(place, "apply", "out", "study", "--samples", "C1", "-o", "new")


def tissue(table):
    """Which spots are no background."""
    return np.asarray(table.obsm["X_img.mean-rgb"]).mean(axis=1) <= 200


def frames(table, name="mlp"):
    return [table.obsm[f"abundance.{name}{end}"] for end in ("", ".low", ".high")]


def test_types_are_told_of_every_section_by_a_fit_without_its_donor(place):
    table = read_h5ad(place / "out" / "table.h5ad")
    types = list(table.obsm["abundance"].columns)
    values, low, high = frames(table)
    assert list(values.columns) == types
    told = tissue(table)
    assert 0.5 < told.mean() < 1
    assert ((low <= values) & (values <= high))[told].all(axis=None)
    assert values[~told].isna().all(axis=None)
    scores = pd.read_csv(place / "out" / "scores.csv")
    assert set(scores["protocol"]) == {"donor held out"}
    assert {"A1", "B1"} <= set(scores["sample"])
    provenance = json.loads((place / "out" / "provenance.json").read_text())
    for step in (one for one in provenance["steps"] if one["do"] == "predict"):
        assert set(step["state"]) == {"donor A", "donor B", "study"}
    assert "donor held out" in (place / "out" / "report.html").read_text("utf-8")


def test_another_donor_is_told_from_its_picture(place, applied):
    table = read_h5ad(place / "new" / "table.h5ad")
    assert set(table.obs["sample"]) == {"C1"}
    assert np.array_equal(np.isfinite(frames(table)[0].to_numpy()).all(axis=1), tissue(table))
    scores = pd.read_csv(place / "new" / "scores.csv")
    assert set(scores["protocol"]) == {"donor held out"}
    assert "report: new/report.html" in applied.stdout
    assert not (place / "new" / "slides").exists()  # it has molecules


def test_python_gives_the_bits_of_the_command_line(place, applied):
    ours = read_h5ad(place / "new" / "table.h5ad")
    theirs = tp.apply(place / "out", tp.read(place / "study", samples=["C1"]))
    for one, other in zip(frames(ours), frames(theirs), strict=True):
        assert one.to_numpy().tobytes() == other.to_numpy().tobytes()


def turned(text):
    """The same spots with the shares of each in another order."""
    head, *rows = text.rstrip("\n").split("\n")
    cells = [row.split("\t") for row in rows]
    return "\n".join([head, *("\t".join([name, *reversed(shares)]) for name, *shares in cells)]) + "\n"


def poison_abundance(study, donor):
    """Alter the cell types that the files tell of a donor."""
    for path in (study / "proportions" / "major").glob(f"{donor}*"):
        rewrite(path, turned)


def test_nothing_of_the_held_out_donors_files_reaches_the_model(place, tmp_path):
    shutil.copytree(place / "study", tmp_path / "study")
    poison(tmp_path / "study", "C")
    poison_abundance(tmp_path / "study", "C")
    changed = {
        name for name, held in files(tmp_path / "study").items() if files(place / "study")[name] != held
    }
    assert len(changed) == 5
    assert all("C1" in name for name in changed)
    done = run(load(place / "small.yaml"), tp.read(tmp_path / "study", samples=["A1", "B1"]), data="study")
    done.chain.save(tmp_path / "model")
    assert files(tmp_path / "model") == files(place / "out" / "model")


def test_the_abundance_of_the_held_out_donor_changes_nothing_that_is_told_of_it(place, applied, tmp_path):
    shutil.copytree(place / "study", tmp_path / "study")
    poison_abundance(tmp_path / "study", "C")
    theirs = tp.apply(place / "out", tp.read(tmp_path / "study", samples=["C1"]))
    ours = read_h5ad(place / "new" / "table.h5ad")
    assert ours.obsm["abundance"].to_numpy().tobytes() != theirs.obsm["abundance"].to_numpy().tobytes()
    for one, other in zip(frames(ours), frames(theirs), strict=True):
        assert one.to_numpy().tobytes() == other.to_numpy().tobytes()


def finished(cache):
    return {path.parent.name for path in cache.glob("steps/*/*/entry.json") if path.parent.name[0] != "."}


def test_a_run_that_is_killed_between_folds_resumes(place, tmp_path):
    shutil.copytree(place / "study", tmp_path / "study")
    shutil.copy(place / "small.yaml", tmp_path)
    words = [
        sys.executable,
        "-m",
        "triptych",
        "run",
        "small.yaml",
        "study",
        "--samples",
        "A1,B1",
        "-o",
        "out",
    ]
    cache = tmp_path / "cache"
    process = subprocess.Popen(
        words, cwd=tmp_path, env={**os.environ, "TRIPTYCH_CACHE_DIR": str(cache)}, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and len(finished(cache)) < 6:  # two views of two sections, and two folds
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    done = finished(cache)
    triptych(tmp_path, *words[3:])
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    states = {s["keys"][unit]: state for s in provenance["steps"] for unit, state in s["state"].items()}
    assert {key for key, state in states.items() if state == "cached"} == done & set(states)
    assert len(done & set(states)) >= 6
    assert "made" in states.values()
    assert files(tmp_path / "out" / "model") == files(place / "out" / "model")
    tables = [read_h5ad(where / "out" / "table.h5ad") for where in (tmp_path, place)]
    for one, other in zip(*map(frames, tables), strict=True):
        assert one.to_numpy().tobytes() == other.to_numpy().tobytes()
    assert files(tmp_path / "out")["scores.csv"] == files(place / "out")["scores.csv"]


def test_the_shipped_recipe_beside_its_controls(place):
    table = tp.read(place / "study")
    record = run(load("pfm-mlp-stain", SMALL), table).record
    scores = record.scores
    real = scores[~scores["slot"].str.startswith("control:")]
    assert set(real["slot"]) == {f"obsm:abundance.{n}" for n in ("mean", "location", "knn", "ridge", "mlp")}
    assert set(scores["protocol"]) == {"donor held out"}
    errors = real[(real["metric"] == "l1") & (real["sample"] == "(mean)")].set_index("slot")["value"]
    assert errors["obsm:abundance.ridge"] < errors["obsm:abundance.mean"]
    assert set(record.tables) == {"predictability", "colocalisation", "similarity"}
    assert set(record.tables["similarity"]["guess"]) == {"ridge", "mlp", "location"}
    flat = scores[(scores["metric"] == "pearson") & (scores["slot"] == "obsm:abundance.mean")]
    assert (flat["value"] == 0).all()


def test_one_donor_alone_is_told_what_to_do(place):
    environment = {**os.environ, "TRIPTYCH_CACHE_DIR": str(place / "cache")}
    words = [sys.executable, "-m", "triptych", "run", "small.yaml", "study", "--samples", "A1", "-o", "alone"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=place, env=environment)
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())
    assert "All observations are of one donor (A)" in said
    assert "--set predict.held_out=block" in said
    assert "Traceback" not in done.stderr
    assert not (place / "alone").exists()
