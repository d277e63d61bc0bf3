"""Studies of predicted cell types: every arm holds donors out, and tells of other data what it learned."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import RecipeError
from triptych.pipeline.applying import apply
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.runs import How
from triptych.studies.compare import compare
from triptych.studies.door import check
from triptych.studies.execute import ALL, ELSEWHERE, execute, pruned, result_of, scores_of, target_of
from triptych.studies.loading import load_design, parse_design
from triptych.studies.summary import references, summary

TYPES = ("p", "q", "r")
DESIGN = """\
name: small
settings: {target: "obsm:abundance", elsewhere: "", elsewhere_samples: "", held_out: donor}
elsewhere: $elsewhere
elsewhere_samples: $elsewhere_samples
seeds: [0]
metric: pearson
factors:
  view:
    good: {set: ['predict.views={img: "obsm:X_good"}']}
    noise: {set: ['predict.views={img: "obsm:X_noise"}']}
  predictor:
    mean:
      - do: predict
        use: mean
        views: &none {}
        target: $target
        held_out: $held_out
        to: &to "obsm:abundance.hat"
    ridge: [{do: predict, use: ridge, views: *none, target: $target, held_out: $held_out, to: *to}]
after:
  - do: analyse
    use: colocalisation-similarity
    abundances: {truth: $target, hat: "obsm:abundance.hat"}
    to: similar
  - {do: score, use: pearson, guess: "obsm:abundance.hat", truth: $target}
  - {do: score, use: l1, guess: "obsm:abundance.hat", truth: $target}
  - {do: score, use: coverage, guess: "obsm:abundance.hat", truth: $target}
"""


NOWHERE = ('elsewhere: "", elsewhere_samples: ""', 'elsewhere: toy, elsewhere_samples: "B1"')
BEFORE = """\
before:
  - {do: encode, use: mean-rgb, to: "obsm:X_good"}
  - {do: encode, use: sinusoidal, with: {dim: 8}, to: "obsm:X_noise"}
"""


def predictable(table, seed=0):
    """Shares that one view tells and another does not."""
    rng = np.random.default_rng(seed)
    table.obsm["X_good"], table.obsm["X_noise"] = rng.normal(size=(2, table.n_obs, 4))
    y = np.exp(table.obsm["X_good"] @ np.random.default_rng(9).normal(size=(4, 3)))
    shares = y / y.sum(axis=1, keepdims=True)
    table.obsm["abundance"] = pd.DataFrame(shares, table.obs_names, list(TYPES))
    return table


@pytest.fixture
def study(make_table):
    return predictable(make_table(side=6, samples=("A1", "B1", "C1")))


@pytest.fixture
def other(make_table):
    return predictable(make_table(side=6, samples=("D1", "E1"), seed=4), seed=4)


@pytest.fixture
def design():
    return parse_design(DESIGN, "small")


@pytest.fixture
def done(design, study, other):
    return execute(design, design.recipes(), study, how=How(cached=False), other=other)


def test_every_arm_predicts_with_donors_held_out(done, study):
    assert "abundance.hat" not in study.obsm
    arms = [f"{view} · {use}" for view in ("good", "noise") for use in ("mean", "ridge")]
    assert [guess.arm for guess in done.guesses] == arms
    assert all(guess.codes is None and guess.types.types == TYPES for guess in done.guesses)
    here = done.runs[~done.runs["metric"].str.endswith(ELSEWHERE)]
    assert set(here["protocol"]) == {"donor held out, view as given"}


def test_the_summary_has_every_metric_here_and_elsewhere(done):
    found = summary(done).set_index(["arm", "metric"])
    for arm in ("good · ridge", "noise · mean"):
        for metric in ("pearson", "l1", "coverage", "colocalisation-cosine", "colocalisation-correlation"):
            here = found.loc[(arm, metric)]
            assert (here["samples"], here["donors"], here["interval"]) == (3, 3, "3 donors"), metric
            assert here["low"] <= here["value"] <= here["high"]
            there = found.loc[(arm, metric + ELSEWHERE)]
            assert (there["samples"], there["donors"]) == (2, 2)
            assert there["greater_is_better"] == here["greater_is_better"] == (metric != "l1")
        assert found.loc[(arm, "seconds"), "value"] > 0
        assert not found.loc[(arm, "seconds"), "greater_is_better"]
        assert (arm, "seconds" + ELSEWHERE) not in found.index  # applying learns nothing
    value = found["value"]
    assert value["good · ridge", "pearson"] > value["noise · ridge", "pearson"] + 0.5
    assert value["good · ridge", "pearson@elsewhere"] > value["noise · ridge", "pearson@elsewhere"] + 0.5


def test_scores_elsewhere_are_those_of_the_model_fitted_on_all(done, design, study, other):
    chain = run(pruned(design.recipes()["good · ridge"]), study.copy()).chain
    expected = apply(chain, other.copy()).scores.query("metric == 'l1' and slot == 'obsm:abundance.hat'")
    found = done.runs.query("arm == 'good · ridge' and metric == 'l1@elsewhere'")
    found = found[found["slot"] == "obsm:abundance.hat"]
    assert dict(zip(found["sample"], found["value"], strict=True)) == dict(
        zip(expected["sample"], expected["value"], strict=True)
    )


def test_abundance_elsewhere_changes_scores_there_and_nothing_here(done, design, study, other):
    poisoned = other.copy()
    poisoned.obsm["abundance"] = other.obsm["abundance"].iloc[:, ::-1].set_axis(TYPES, axis=1)
    again = execute(design, design.recipes(), study, how=How(cached=False), other=poisoned)
    columns = ["arm", "metric", "slot", "sample", "value", "low", "high"]
    here = [one.runs[~one.runs["metric"].str.contains("@|seconds")][columns] for one in (done, again)]
    pd.testing.assert_frame_equal(*[one.reset_index(drop=True) for one in here])
    there = [one.runs.query("metric == 'l1@elsewhere'")["value"].to_numpy() for one in (done, again)]
    assert not np.array_equal(*there)


def test_seconds_are_of_the_study_and_the_same_from_the_cache(design, study):
    first = execute(design, design.recipes(), study.copy(), how=How())
    second = execute(design, design.recipes(), study.copy(), how=How())
    taken = [one.runs[one.runs["metric"] == "seconds"] for one in (first, second)]
    assert set(taken[0]["sample"]) == {ALL}
    assert (taken[0]["value"] > 0).all()
    pd.testing.assert_frame_equal(first.runs, second.runs)


def test_only_the_maps_of_the_result_itself_are_its_scores(study):
    """A recipe that compares several predictions ends in one of them."""
    text = """
name: several
steps:
  - {do: predict, use: ridge, views: {img: "obsm:X_noise"}, to: "obsm:abundance.control"}
  - {do: predict, use: ridge, views: {img: "obsm:X_good"}, to: "obsm:abundance.hat"}
  - {do: analyse, use: colocalisation-similarity, to: similar,
     abundances: {truth: "obsm:abundance", hat: "obsm:abundance.hat", control: "obsm:abundance.control"}}
  - {do: score, use: pearson, guess: "obsm:abundance.hat"}
"""
    recipe = parse(text, "several")
    assert result_of(recipe) == "obsm:abundance.hat"
    record = run(pruned(recipe), study).record
    table = record.tables["similar"].query("guess == 'hat'").set_index("sample")
    found = scores_of(record, recipe).query("metric == 'colocalisation-cosine'")
    assert sorted(found["sample"]) == ["A1", "B1", "C1"]
    assert dict(zip(found["sample"], found["value"], strict=True)) == table["cosine"].to_dict()


def test_another_target_bears_the_plain_names_of_metrics(study, other):
    for table in (study, other):
        table.obsm["abundance.minor"] = table.obsm["abundance"].iloc[:, :2]
    text = DESIGN.replace('target: "obsm:abundance"', 'target: "obsm:abundance.minor"')
    design = parse_design(text, "small")
    done = execute(design, design.recipes(), study, how=How(cached=False), other=other)
    found = summary(done).set_index(["arm", "metric"])
    named = set(found.index.get_level_values("metric"))
    assert {"pearson", "l1", "pearson@elsewhere", "l1@elsewhere"} <= named
    assert not any(":" in metric for _, metric in found.index)
    assert not found.loc[("good · ridge", "l1"), "greater_is_better"]
    assert target_of(design.recipes()["good · ridge"].steps, "obsm:abundance.hat") == "obsm:abundance.minor"


def test_the_shipped_study_may_learn_from_another_target():
    for changes in ([], ["target=obsm:abundance.minor"]):
        design = load_design(["pfm-mlp-tables"], changes)
        check(design, design.recipes())


def test_a_metric_of_a_table_that_no_step_scores_is_a_fault():
    design = load_design(["pfm-mlp-tables"], [])
    tables = design.model_dump(by_alias=True)
    tables["tables"]["predictors"]["metrics"] = ["pearson", "ari", "nonsense@elsewhere"]
    wrong = type(design).model_validate(tables)
    with pytest.raises(RecipeError) as caught:
        check(wrong, wrong.recipes())
    assert "ari is scored by no step" in str(caught.value)
    assert "there is no metric nonsense@elsewhere" in str(caught.value)


def test_settings_say_where_the_other_data_lie(design):
    assert design.other == ("", ())
    told = parse_design(DESIGN.replace(*NOWHERE, 1).replace("B1", "B1, B2"), "small")
    assert told.other == ("toy", ("B1", "B2"))


def test_a_folder_of_such_a_study(tmp_path):
    text = DESIGN.replace(*NOWHERE, 1).replace("factors:", f"{BEFORE}factors:", 1)
    design, out = parse_design(text, "small"), tmp_path / "out"
    result = compare(design, "toy", out=out)
    assert (out / "compare.html").is_file()
    assert references(design)["good · ridge"] == "good · mean"
    summary_file = pd.read_csv(out / "summary.csv")
    assert set(summary_file["arm"]) == set(design.levels())
    assert {"pearson", "pearson@elsewhere", "seconds"} <= set(summary_file["metric"])
    here = result.summary.query("metric == 'pearson'")
    assert set(here["protocol"]) == {"donor held out"}
    assert set(here["interval"]) == {"spatial blocks"}  # the toy has two donors
    there = result.runs.query("metric == 'pearson@elsewhere'")
    assert set(there["sample"]) == {"B1"}
    assert set(there["protocol"]) == {"section of the fit"}  # and so no evidence
