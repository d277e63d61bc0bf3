"""What studies choose by, and how, against plain loops and scikit-learn."""

import json
from itertools import product

import numpy as np
import pytest
from sklearn import metrics as theirs

from triptych.metrics import registry
from triptych.pipeline.applying import apply
from triptych.pipeline.run import run
from triptych.pipeline.study import Study
from triptych.runs import How
from triptych.studies.composite import composite
from triptych.studies.design import Composite, Nested
from triptych.studies.loading import parse_design
from triptych.studies.nested import validate


def scattered(table, seed):
    """Labels and a space that know a little of the truth, and of the batch."""
    rng = np.random.default_rng(seed)
    truth = table.obs["truth"].cat.codes.to_numpy()
    batch = table.obs["batch"].cat.codes.to_numpy()
    noise = rng.normal(size=(table.n_obs, 3))
    table.obsm["X_space"] = np.column_stack([truth, batch, np.zeros(len(truth))]) * 2 + noise
    table.obs["domain"] = np.where(rng.random(table.n_obs) < 0.3, rng.integers(0, 3, table.n_obs), truth)
    return table


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("unlabelled", [0.0, 0.4])
def test_the_composite_score_by_its_plain_formula(make_table, weight, unlabelled):
    table = scattered(make_table(side=6), seed=1)
    table.obs.loc[np.random.default_rng(2).random(table.n_obs) < unlabelled, "truth"] = np.nan
    spec = Composite(weight=weight, bio=("ari", "nmi", "ami", "silhouette"), batch=("ilisi", "kbet", "ari"))
    found = composite(Study(table), spec, labels="obs:domain", space="obsm:X_space")

    x, guess = table.obsm["X_space"], table.obs["domain"].to_numpy()
    known = table.obs["truth"].notna().to_numpy()
    truth = table.obs["truth"].astype(str).to_numpy()[known]
    donor, batch = table.obs["donor"].astype(str), table.obs["batch"].cat.codes.to_numpy()
    bio = [
        theirs.adjusted_rand_score(truth, guess[known]),
        theirs.normalized_mutual_info_score(truth, guess[known]),
        theirs.adjusted_mutual_info_score(truth, guess[known]),
        (theirs.silhouette_score(x[known], truth) + 1) / 2,
    ]
    mixing = [registry.make(name).score(x, batch) for name in ("ilisi", "kbet")]
    mixing.append(1 - max(0.0, theirs.adjusted_rand_score(donor, guess)))
    assert list(found.values())[:-1] == pytest.approx([*bio, *mixing], abs=1e-9)
    assert found["score"] == pytest.approx(weight * np.mean(bio) + (1 - weight) * np.mean(mixing), abs=1e-9)


def test_without_batches_or_labels_the_composite_score_is_what_is_left(make_table):
    one = scattered(make_table(side=6, samples=("A1",)), seed=1)
    found = composite(Study(one), Composite(), labels="obs:domain", space="obsm:X_space")
    assert found["score"] == pytest.approx(np.mean([found["ari"], found["nmi"], found["silhouette"]]))
    del one.obs["truth"]
    assert np.isnan(composite(Study(one), Composite(), labels="obs:domain", space="obsm:X_space")["score"])


STEPS = """\
name: nested
seeds: [4, 5]
factors:
  all:
    one:
      - {do: encode, use: pca, with: {components: 3}, to: "obsm:X_rna.pca"}
      - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
      - do: fuse
        use: smooth
        views: {rna: "obsm:X_rna.pca.center"}
        with: {components: 0}
        to: "obsm:X_fused"
      - {do: cluster, use: kmeans, x: "obsm:X_fused", with: {k: 3}, to: "obs:domain"}
after: [{do: score, use: ari, guess: "obs:domain"}]
"""
GRID = {"pca.components": (2, 6), "kmeans.k": (2, 4)}


def of(table, samples):
    return table[table.obs["sample"].isin(samples)].copy()


def with_values(recipe, components, k):
    steps = []
    for step in recipe.steps:
        wanted = {"pca": {"components": components}, "kmeans": {"k": k}}.get(step.use, {})
        steps.append(step.model_copy(update={"params": {**step.params, **wanted}}))
    return recipe.model_copy(update={"steps": tuple(steps)})


def test_nested_folds_against_a_plain_loop(make_table):
    study = make_table(samples=("A1", "B1", "B2"))
    study.obs["truth"] = study.obs["truth"].astype(str)  # a little noise, so that candidates differ
    flipped = np.random.default_rng(0).random(study.n_obs) < 0.2
    study.obs.loc[flipped, "truth"] = "left"
    spec, design = Composite(batch=("ilisi",)), parse_design(STEPS, "nested")
    nested = Nested(grid=GRID, composite=spec, test=("apply",), tuning_seeds=2)
    recipes, donors = design.recipes(), {"A1": "A", "B1": "B", "B2": "B"}
    _, folds = validate(
        design, nested, recipes, lambda names: of(study, names), donors, how=How(cached=False)
    )  # fmt: skip

    expected = []
    for held in "AB":
        tuning = [name for name, donor in donors.items() if donor != held]
        test = [name for name, donor in donors.items() if donor == held]
        tried = []
        for components, k in product(*GRID.values()):
            recipe = with_values(recipes["one"], components, k)
            scores = []
            for seed in design.seeds:
                table = of(study, tuning)
                run(recipe.model_copy(update={"seed": seed}), table)
                found = composite(Study(table), spec, labels="obs:domain", space="obsm:X_fused")
                scores.append(found["score"])
            tried.append((np.mean(scores), recipe, {"pca.components": components, "kmeans.k": k}))
        score, recipe, settings = max(tried, key=lambda one: one[0])
        values = []
        for seed in design.seeds:
            chain = run(recipe.model_copy(update={"seed": seed}), of(study, tuning)).chain
            new = of(study, test)
            apply(chain, new)
            for name in test:
                mine = new.obs[new.obs["sample"] == name]
                values.append(theirs.adjusted_rand_score(mine["truth"], mine["domain"]))
        expected.append((held, settings, score, np.mean(values)))

    found = [(f.fold, json.loads(f.chosen), f.tuning_score, f.value) for f in folds.itertuples()]
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    assert [one[2:] for one in found] == [pytest.approx(one[2:], abs=1e-12) for one in expected]
    assert set(folds["candidates"]) == {4}
