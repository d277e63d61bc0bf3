"""A run that is killed loses nothing: the next one resumes and gives the bits of an unbroken run."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from anndata import read_h5ad

COMMAND = [
    sys.executable, "-m", "triptych", "run", "quickstart", "toy",
    "--set", "grid-triplet.epochs=15", "--set", "kmeans.k_from=recipe",
]  # fmt: skip


def environment(cache):
    return {**os.environ, "TRIPTYCH_CACHE_DIR": str(cache)}


def finished(cache):
    return {path.parent.name for path in cache.glob("steps/*/*/entry.json") if path.parent.name[0] != "."}


def kill_after(cache, out, entries):
    """Start a run and kill it as soon as the cache holds so many entries."""
    process = subprocess.Popen([*COMMAND, "-o", str(out)], env=environment(cache), stderr=subprocess.DEVNULL)
    while process.poll() is None and len(finished(cache)) < entries:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    return finished(cache)


def run(cache, out):
    subprocess.run([*COMMAND, "-o", str(out)], env=environment(cache), check=True, capture_output=True)
    return json.loads((out / "provenance.json").read_text())


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder / "out", run(folder / "cache", folder / "out")


@pytest.mark.parametrize("entries", [3, 9, 14])
def test_killed_in_the_middle(tmp_path, unbroken, entries):
    cache, out = tmp_path / "cache", tmp_path / "out"
    done = kill_after(cache, out, entries)
    assert not (out / "provenance.json").exists()
    provenance = run(cache, out)
    states = {
        step["keys"][unit]: state for step in provenance["steps"] for unit, state in step["state"].items()
    }
    assert {key for key, state in states.items() if state == "cached"} >= done & set(states)
    assert not list(out.glob(".triptych-*"))
    ours, theirs = read_h5ad(out / "table.h5ad"), read_h5ad(unbroken[0] / "table.h5ad")
    for key in theirs.obsm:
        assert np.asarray(ours.obsm[key]).tobytes() == np.asarray(theirs.obsm[key]).tobytes(), key
    for column in theirs.obs:
        assert (ours.obs[column].astype(str) == theirs.obs[column].astype(str)).all()
    assert (out / "scores.csv").read_bytes() == (unbroken[0] / "scores.csv").read_bytes()


def test_two_runs_with_one_seed_give_the_same_bits(tmp_path, unbroken):
    run(tmp_path / "cache", tmp_path / "out")
    ours, theirs = read_h5ad(tmp_path / "out" / "table.h5ad"), read_h5ad(unbroken[0] / "table.h5ad")
    for key in theirs.obsm:
        assert np.asarray(ours.obsm[key]).tobytes() == np.asarray(theirs.obsm[key]).tobytes(), key
    assert (tmp_path / "out" / "scores.csv").read_bytes() == (unbroken[0] / "scores.csv").read_bytes()
