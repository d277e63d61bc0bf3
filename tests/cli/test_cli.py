"""The command line as a user meets it: words, streams, exit codes."""

import json
import subprocess
import sys

import pandas as pd
import pytest

SMALL = """\
name: small
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: cluster, use: kmeans, x: "obsm:X_rna.pca", k_from: truth, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""


def triptych(*words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "triptych", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_a_run_from_toy_to_report(recipe, tmp_path):
    out = tmp_path / "out"
    done = triptych("run", recipe, "toy", "-o", out, "--seed", 4)
    assert f"report: {out / 'report.html'}" in done.stdout
    assert "note: Oracle K" in done.stdout
    names = {item.name for item in out.iterdir()}
    assert names == {
        "table.h5ad", "scores.csv", "report.html", "figures", "recipe.yaml", "provenance.json", "model",
    }  # fmt: skip
    scores = pd.read_csv(out / "scores.csv")
    assert set(scores["seed"]) == {4}
    assert set(scores["slot"]) == {"obs:domain", "control:shuffled", "control:oracle"}
    assert json.loads((out / "provenance.json").read_text())["seed"] == 4
    again = triptych("plan", recipe, "toy", "--seed", 4)
    assert "cached 1" in again.stdout
    assert "run 1" not in again.stdout
    before = (out / "report.html").read_text()
    triptych("report", out)
    assert (out / "report.html").read_text() == before


def test_samples_truth_and_per_sample(recipe, tmp_path):
    out = tmp_path / "out"
    triptych("run", recipe, "toy", "-o", out, "--samples", "A1,B1", "--per-sample")
    assert set(pd.read_csv(out / "scores.csv")["sample"]) == {"A1", "B1", "(mean)"}


def test_another_study_in_out(recipe, tmp_path):
    out = tmp_path / "out"
    triptych("run", recipe, "toy", "-o", out, "--samples", "A1")
    done = triptych("run", recipe, "toy", "-o", out, "--samples", "B1", code=2)
    assert "holds another study" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["run", "quickstrat", "toy", "-o", "x"], 3, "Did you mean quickstart?"),
        (["run", "quickstart", "no/such/folder", "-o", "x"], 2, "no/such/folder"),
        (["run", "quickstart", "toy", "-o", "x", "--samples", "Z9"], 2, "Z9"),
        (["run", "quickstart", "toy", "-o", "x", "--truth", "nobody"], 2, "nobody"),
        (["run", "quickstart", "toy", "-o", "x", "--set", "fuse.windw=3"], 3, "Did you mean window?"),
        (["run", "quickstart", "toy", "-o", "x", "--set", "fuse.window=4"], 2, "odd"),
        (["run", "quickstart", "toy", "-o", "x", "--executor", "dusk"], 3, "Did you mean dask?"),
        (["run", "quickstart", "toy", "-o", "/proc/no/out"], 2, "cannot be written"),
        (["show", "fusers", "grid-triplett"], 3, "Did you mean grid-triplet?"),
        (["list", "fuser"], 3, "Did you mean fusers?"),
        (["report", "no/such/run"], 2, "holds no finished run"),
        (["check", "no.yaml"], 3, "There is no recipe"),
    ],
)
def test_mistakes_get_a_message_and_an_exit_code(words, code, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = triptych(*words, code=code)
    assert text in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_recipe_with_faults_shows_them_all_with_lines(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(SMALL.replace("do: score", "do: scor").replace("x:", "xx:"))
    done = triptych("check", path, code=2)
    assert "line 4" in done.stderr
    assert "line 5" in done.stderr


def test_list_show_doctor_cache(recipe, tmp_path):
    assert "grid-triplet" in triptych("list", "fusers").stdout
    assert "smooth-gaussian" in triptych("list", "recipes").stdout
    assert "window" in triptych("show", "fusers", "grid-triplet").stdout
    assert "steps:" in triptych("show", "recipes", "quickstart").stdout
    assert "torch" in triptych("doctor").stdout
    triptych("run", recipe, "toy", "-o", tmp_path / "out", "--samples", "A1")
    assert "kmeans" in triptych("cache", "list").stdout.lower()
    assert "3 entries" in triptych("cache", "size").stdout
    assert "3 entries removed" in triptych("cache", "prune", "--days", "0").stdout


def test_stdout_holds_results_only(recipe, tmp_path):
    done = triptych("run", recipe, "toy", "-o", tmp_path / "out", "--samples", "A1")
    assert done.stdout.splitlines()[0].split()[:2] == ["metric", "of"]
