"""A study that is killed loses nothing: the next one resumes and gives the tables of an unbroken one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pandas as pd
import pytest

from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_spatial_transcriptomics

SEEDS = 3
GRID = """\
name: grid
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
  - do: fuse
    use: grid-triplet
    views: {rna: "obsm:X_rna.pca.center"}
    with: {window: 3, latent: 4, hidden: 8, members: 1, epochs: 10}
    to: "obsm:X_fused"
  - {do: cluster, use: kmeans, x: "obsm:X_fused", k_from: truth, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""
PLAIN = """\
name: plain
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
  - {do: cluster, use: kmeans, x: "obsm:X_rna.pca.center", k_from: truth, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""
COMMAND = [sys.executable, "-m", "triptych", "compare", "grid.yaml", "plain.yaml", "--data", "study"]
OPTIONS = ["--seeds", str(SEEDS), "-o", "out"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_spatial_transcriptomics(Toy(sections_per_donor=1, side=10, genes=60).make(), folder)
    return folder


def place(folder, study):
    """A folder with the study and two recipes, and a cache of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "study").symlink_to(study)
    (folder / "grid.yaml").write_text(GRID)
    (folder / "plain.yaml").write_text(PLAIN)
    return folder


def started(folder):
    environment = {**os.environ, "TRIPTYCH_CACHE_DIR": str(folder / "cache")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, *OPTIONS], cwd=folder, env=environment, text=True, **pipes)


def compared(folder):
    process = started(folder)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    return out


def entries(folder):
    """Key → when its arrays were written, of every finished entry; using one touches its entry.json."""
    found = folder.glob("cache/steps/*/*/entry.json")
    keys = [path.parent for path in found if path.parent.name[0] != "."]
    return {key.name: max(path.stat().st_mtime_ns for path in key.glob("*.npy")) for key in keys}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, study):
    folder = place(tmp_path_factory.mktemp("unbroken"), study)
    return folder, compared(folder)


def test_a_killed_study_resumes(tmp_path, study, unbroken):
    folder = place(tmp_path / "killed", study)
    process = started(folder)
    while process.poll() is None and len(entries(folder)) < 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the study ended before it could be killed"
    assert not (folder / "out" / "provenance.json").exists()
    done, restart = entries(folder), time.time_ns()
    told = compared(folder)
    after, whole = entries(folder), entries(unbroken[0])
    assert set(after) == set(whole)
    assert len(done) >= 5
    assert len(done) < len(whole)
    assert {key for key, written in after.items() if written < restart} == set(done)
    assert told == unbroken[1]
    ours, theirs = folder / "out", unbroken[0] / "out"
    for name in ("summary.csv", "pairs.csv", "study.yaml"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    a, b = (pd.read_csv(out / "runs.csv", dtype=str).drop(columns="seconds") for out in (ours, theirs))
    assert a.to_csv() == b.to_csv()
    assert not list(ours.glob(".triptych-*"))


def test_what_arms_share_is_made_once(unbroken):
    folder, told = unbroken
    runs = pd.read_csv(folder / "out" / "runs.csv")
    assert set(runs["arm"]) == {"grid", "plain"}
    assert runs.groupby("arm")["seed"].nunique().tolist() == [SEEDS, SEEDS]
    texts = [path.read_text() for path in folder.glob("cache/steps/*/*/entry.json")]
    made = Counter(json.loads(text)["about"]["use"] for text in texts)
    assert made["Pca"] == made["Center"] == made["GridTriplet"] == SEEDS
    assert made["KMeans"] == 2 * SEEDS
    assert "page: out/compare.html" in told
