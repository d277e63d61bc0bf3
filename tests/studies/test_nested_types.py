"""Nested validation of predictors: what is chosen is chosen on the tuning sections, and they alone."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.pipeline.study import Study
from triptych.runs import How
from triptych.studies.design import Nested
from triptych.studies.failures import Failures
from triptych.studies.loading import parse_design
from triptych.studies.nested import choose, validate

from .test_elsewhere import predictable

DESIGN = """\
name: small
seeds: [0]
metric: {metric}
factors:
  predictor:
    ridge: [{{do: predict, use: ridge, views: {{img: "obsm:X_good"}}, to: "obsm:abundance.hat"}}]
after:
  - {{do: score, use: {metric}, guess: "obsm:abundance.hat"}}
"""
WEAK, STRONG = (1e6,), (0.1,)
VIEWS = ({"img": "obsm:X_noise"}, {"img": "obsm:X_good"})


def design_of(metric="pearson"):
    return parse_design(DESIGN.format(metric=metric), "small")


@pytest.fixture
def study(make_table):
    return predictable(make_table(side=6, samples=("A1", "A2", "B1", "C1")))


def by_samples(recipe):
    """The recipe with sections held out."""
    steps = (
        step.model_copy(update={"held_out": "sample"}) if step.do == "predict" else step
        for step in recipe.steps
    )
    return recipe.model_copy(update={"steps": tuple(steps)})


def nested(table, *, by="donor", asked=None, test=("apply",), failures=None):
    how = Nested.model_validate({"grid": {"ridge.alphas": (WEAK, STRONG)}, "test": test, "by": by})
    design = design_of("pearson").model_copy(update={"nested": how})
    recipes = design.recipes()
    if by == "sample":
        recipes = {name: by_samples(one) for name, one in recipes.items()}

    def source(samples):
        if asked is not None:
            asked.append(samples)
        return table[table.obs["sample"].isin(samples)].copy()

    return validate(
        design, how, recipes, source, Study(table).donors, how=How(cached=False), failures=failures
    )


@pytest.mark.parametrize(
    ("metric", "grid", "best"),
    [
        ("pearson", {"predict.views": VIEWS}, VIEWS[1]),
        ("l1", {"predict.views": VIEWS}, VIEWS[1]),
        ("l1", {"ridge.alphas": (WEAK, STRONG)}, STRONG),
    ],
)
def test_the_candidate_that_predicts_the_tuning_donors_best_is_chosen(study, metric, grid, best):
    design = design_of(metric)
    tuning = study[study.obs["donor"] != "C"].copy()
    how = Nested.model_validate({"grid": grid})
    chosen = choose(design.recipes()["ridge"], tuning, design, how, how=How(cached=False))
    assert chosen.of == 2
    assert list(chosen.settings.values()) == [best]
    assert (chosen.score > 0) == (metric == "pearson")  # the less the error the better


def test_each_donor_is_judged_by_what_the_others_chose(study):
    asked = []
    runs, folds = nested(study, asked=asked)
    assert asked[:3] == [("B1", "C1"), ("A1", "A2", "C1"), ("A1", "A2", "B1")]
    assert list(folds["test"]) == ["A1, A2", "B1", "C1"]
    assert set(folds["candidates"]) == {2}
    real = runs.query("metric == 'pearson' and slot == 'obsm:abundance.hat' and sample != '(mean)'")
    assert dict(zip(real["sample"], real["fold"], strict=True)) == {
        "A1": "A",
        "A2": "A",
        "B1": "B",
        "C1": "C",
    }
    assert set(real["protocol"]) == {"donor held out"}
    assert folds.set_index("fold").loc["A", "value"] == pytest.approx(
        real.query("fold == 'A'")["value"].mean()
    )


def test_by_sample_other_sections_of_the_donor_are_in_the_fit_and_it_says_so(study):
    runs, folds = nested(study, by="sample")
    assert list(folds["test"]) == ["A1", "A2", "B1", "C1"]
    real = runs.query("metric == 'pearson' and slot == 'obsm:abundance.hat' and sample != '(mean)'")
    words = dict(zip(real["sample"], real["protocol"], strict=True))
    assert words["A1"] == words["A2"] == "section held out, donor in the fit"
    assert words["B1"] == words["C1"] == "donor held out"


@pytest.mark.parametrize("by", ["donor", "sample"])
def test_what_is_held_out_changes_no_choice(study, by):
    """Everything of it altered: abundance, views, counts."""
    held = (study.obs["donor"] == "B").to_numpy()
    poisoned = study.copy()
    poisoned.obsm["abundance"] = study.obsm["abundance"].copy()
    poisoned.obsm["abundance"].loc[held] = study.obsm["abundance"].to_numpy()[held][:, ::-1]
    for view in ("X_good", "X_noise"):
        poisoned.obsm[view] = np.where(held[:, None], study.obsm[view][::-1], study.obsm[view])
    found = []
    for table in (study, poisoned):
        runs, folds = nested(table, by=by)
        found.append((runs, folds[["fold", "arm", "chosen", "tuning_score", "value"]].set_index("fold")))
    fold = "B" if by == "donor" else "B1"
    columns = ["arm", "chosen", "tuning_score"]
    pd.testing.assert_series_equal(*[folds.loc[fold, columns] for _, folds in found])
    assert found[0][1].loc[fold, "value"] != found[1][1].loc[fold, "value"]
    others = [folds.drop(index=fold)["tuning_score"].to_numpy() for _, folds in found]
    assert not np.array_equal(*others)


def test_an_arm_that_cannot_be_judged_so_is_noted_with_its_fold(study):
    """A donor alone cannot be held out from itself."""
    failures = Failures()
    with pytest.raises(DataError, match="one donor"):
        nested(study, test=("apply", "alone"), failures=failures)
    assert len(failures.found) == 3
    assert all("--set predict.held_out=" in str(one.error) for one in failures.found)
