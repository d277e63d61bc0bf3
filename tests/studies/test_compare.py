"""Whole studies on a small table: arms share the cache, folders are whole, donors held out stay unseen."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, OutputError
from triptych.pipeline.cache import Cache
from triptych.pipeline.study import Study
from triptych.runs import How
from triptych.studies.compare import compare
from triptych.studies.composite import composite
from triptych.studies.design import Composite, Design, Nested
from triptych.studies.execute import execute, pruned, result_of, space_of
from triptych.studies.loading import load_design, parse_design
from triptych.studies.nested import folds_of, validate

from .test_design import FACTORS

NESTED = Nested.model_validate({
    "grid": {"pca.components": [3, 5], "smooth.neighbours": [4, 8]}, "test": ["apply", "alone"],
})  # fmt: skip


@pytest.fixture
def design():
    return parse_design(FACTORS.replace("name: small", "name: small\nseeds: [0, 1]"), "small")


@pytest.fixture
def study(make_table):
    return make_table(samples=("A1", "A2", "B1", "C1"))


def test_every_arm_runs_with_every_seed(design, study):
    done = execute(design, design.recipes(), study, how=How(cached=False))
    assert len(done.guesses) == 4 * 2
    counted = done.runs.query("metric == 'ari' and slot == 'obs:domain' and sample == 'A1'")
    assert counted.groupby("arm")["seed"].apply(list).to_dict() == {arm: [0, 1] for arm in design.levels()}
    assert "domain" not in study.obs


def test_a_second_study_takes_everything_from_the_cache(design, study, monkeypatch):
    first = execute(design, design.recipes(), study.copy(), how=How())
    puts = []
    put = Cache.put
    monkeypatch.setattr(Cache, "put", lambda self, key, *rest: puts.append(key) or put(self, key, *rest))
    second = execute(design, design.recipes(), study.copy(), how=How())
    assert puts == []
    pd.testing.assert_frame_equal(first.runs, second.runs)


def test_result_and_space_of_a_recipe(design):
    recipe = design.recipes()["few · smooth"]
    assert result_of(recipe) == "obs:domain"
    assert space_of(recipe) == "obsm:X_fused"


def test_labels_that_lead_nowhere_are_not_made():
    recipe = load_design(["cross-sample-genes"]).recipes()["cross-sample-genes"]
    kept = pruned(recipe)
    assert result_of(kept) == result_of(recipe) == "obs:domain"
    assert {s.writes for s in kept.steps if s.do in {"cluster", "refine"}} == {
        "obs:domain.kmeans",
        "obs:domain",
    }
    assert {s.guess for s in kept.steps if s.do == "score"} == {"obs:domain", "obs:batch"}
    assert [s.do for s in kept.steps][:3] == ["encode", "align", "fuse"]


def test_the_composite_score_is_what_it_says(study):
    table = Study(study)
    rng = np.random.default_rng(0)
    truth = table.codes("obs:truth", "study")[0]
    good = np.eye(2)[truth] * 5 + rng.normal(size=(len(truth), 2))
    study.obsm["X_good"], study.obsm["X_bad"] = good, rng.normal(size=(len(truth), 2))
    study.obs["domain"] = truth
    found = composite(table, Composite(weight=0.6), labels="obs:domain", space="obsm:X_good")
    bio = np.mean([found["ari"], found["nmi"], found["silhouette"]])
    batch = np.mean([found["batch ilisi"], found["batch kbet"]])
    assert found["score"] == pytest.approx(0.6 * bio + 0.4 * batch)
    assert found["ari"] == 1.0
    worse = composite(table, Composite(weight=0.6), labels="obs:domain", space="obsm:X_bad")
    assert worse["silhouette"] < found["silhouette"]


def test_folds_hold_out_whole_donors():
    folds = list(folds_of({"A1": "A", "A2": "A", "B1": "B", "C1": "C"}, 1))
    assert [(f.name, f.tuning, f.test) for f in folds] == [
        ("A", ("B1", "C1"), {"A": ("A1", "A2")}),
        ("B", ("A1", "A2", "C1"), {"B": ("B1",)}),
        ("C", ("A1", "A2", "B1"), {"C": ("C1",)}),
    ]
    assert len(list(folds_of({"A1": "A", "B1": "B", "C1": "C"}, 2))) == 3
    with pytest.raises(DataError, match="2 of 2 donors cannot be held out"):
        list(folds_of({"A1": "A", "B1": "B"}, 2))


def nested(design, study, asked=None):
    donors = Study(study).donors

    def source(samples):
        if asked is not None:
            asked.append(samples)
        return study[study.obs["sample"].isin(samples)].copy()

    return validate(design, NESTED, design.recipes(), source, donors, how=How())


def test_nested_validation_chooses_on_the_other_donors(design, study):
    asked = []
    runs, folds = nested(design, study, asked)
    assert asked[:3] == [("B1", "C1"), ("A1", "A2", "C1"), ("A1", "A2", "B1")]
    assert set(runs["arm"]) == {f"{arm} ({kind})" for arm in design.levels() for kind in ("applied", "alone")}
    mine = runs.query("metric == 'ari' and fold == 'A' and slot == 'obs:domain'")
    assert set(mine["sample"]) - {"(mean)"} == {"A1", "A2"}
    applied = mine[mine["arm"].str.endswith("(applied)")]
    assert applied["protocol"].str.startswith("donor held out").all()
    alone = mine[mine["arm"].str.endswith("(alone)")]
    assert alone["protocol"].str.startswith("hyper-parameters of other donors, transductive").all()
    assert set(folds.loc[folds["arm"] == "few · smooth", "candidates"]) == {4}
    assert set(folds.loc[folds["arm"] == "few · plain", "candidates"]) == {2}


def test_labels_and_counts_of_held_out_donors_change_no_choice(design, study):
    one = Design.model_validate({**design.model_dump(by_alias=True), "seeds": (0,)})
    _, clean = nested(one, study)
    poisoned = study.copy()
    held = (poisoned.obs["donor"] == "A").to_numpy()
    poisoned.obs.loc[held, "truth"] = "left"
    counts = poisoned.layers["counts"].tolil()
    counts[held] = counts[held][:, ::-1]
    poisoned.layers["counts"] = counts.tocsr()
    _, other = nested(one, poisoned)
    columns = ["arm", "chosen", "tuning_score"]
    a, b = (f.loc[f["fold"] == "A", columns].reset_index(drop=True) for f in (clean, other))
    pd.testing.assert_frame_equal(a, b)


def test_tuning_sections_without_labels_are_refused(design, study):
    study.obs.loc[study.obs["donor"] != "A", "truth"] = np.nan
    with pytest.raises(DataError, match="no known labels"):
        nested(design, study)


def test_a_folder_of_a_study(tmp_path):
    text = FACTORS.replace("name: small", "name: small\ntitle: Two and two\nseeds: [0]")
    design, out = parse_design(text, "small"), tmp_path / "out"
    result = compare(design, "toy", out=out)
    names = {item.name for item in out.iterdir()}
    assert {"runs.csv", "summary.csv", "pairs.csv", "compare.html", "compare.md", "study.yaml"} <= names
    assert "Two and two" in (out / "compare.html").read_text("utf-8")
    assert parse_design((out / "study.yaml").read_text("utf-8"), "again").recipes() == design.recipes()
    assert list(result.summary["arm"]) == list(design.levels())
    with pytest.raises(OutputError, match="holds a run of the recipe study small"):
        compare(Design.model_validate({**design.model_dump(by_alias=True), "name": "other"}), "toy", out=out)
