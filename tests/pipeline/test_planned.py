"""Faults of steps that predict, deconvolve, judge or analyse cell types: all found before anything runs."""

import pytest

from triptych.core.errors import MissingSlotError, RecipeError
from triptych.pipeline.plan import plan
from triptych.pipeline.recipe import load, parse, shipped
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.wiring import check

from .test_folding import abundant

VIEWS = 'views: {img: "obsm:X_given"}'


@pytest.fixture
def study(make_table):
    return Study(abundant(make_table(side=6)))


def recipe(*steps):
    return parse("name: small\nsteps:\n" + "".join(f"  - {{{step}}}\n" for step in steps), "small")


def fault(study, *steps):
    with pytest.raises(RecipeError) as caught:
        plan(recipe(*steps), study)
    return str(caught.value)


PREDICTS = {
    'do: predict, use: ridge, to: "obsm:abundance.hat"': "needs views: name them with views.",
    f'do: predict, use: graph-transformer-pixels, {VIEWS}, to: "obsm:abundance.hat"': (
        "takes windows of the image, no views."
    ),
    f'do: predict, use: ridge, {VIEWS}, over: sample, to: "obsm:abundance.hat"': "Leave over out.",
    f'do: predict, use: ridge, {VIEWS}, to: "obsm:abundance"': "would write over obsm:abundance",
    f'do: predict, use: ridge, {VIEWS}, target: "obs:truth", to: "obsm:abundance.hat"': (
        "reads obs:truth as target, which must be cell types"
    ),
    f'do: predict, use: ridge, {VIEWS}, background: "obsm:X_rgb", to: "obsm:abundance.hat"': (
        "reads obsm:X_rgb (background), which nothing has written"
    ),
    f'do: predict, use: ridge, {VIEWS}, target: "obsm:abundance.other", to: "obsm:abundance.hat"': (
        "reads obsm:abundance.other (target), which nothing has written"
    ),
}
OTHERS = {
    "do: analyse, use: colocalisation, to: x": "needs abundances by role.",
    "do: analyse, use: markers, to: x": "needs labels: name them with labels.",
    'do: analyse, use: markers, labels: "obs:truth", abundances: {a: "obsm:abundance"}, to: x': (
        "markers takes no abundances."
    ),
    'do: analyse, use: colocalisation, abundances: {a: "obs:truth"}, to: x': (
        "reads obs:truth as abundances.a, which must be cell types"
    ),
    'do: analyse, use: markers, labels: "obsm:abundance", to: x': "which must be labels, a column of obs",
    'do: score, use: pearson, guess: "obs:truth"': "reads obs:truth as guess, which must be cell types",
    'do: score, use: ari, guess: "obsm:abundance"': "reads obsm:abundance as guess, which must be labels",
    'do: score, use: l1, guess: "obsm:abundance", x: "obsm:X_given"': "l1 takes no space. Leave x out.",
    "do: deconvolve, use: nnls": "--set deconvolve.reference=PATH",
    "do: deconvolve, use: precomputed, reference: some.h5ad": "--set deconvolve.table=PATH",
}


@pytest.mark.parametrize("step", [*PREDICTS, *OTHERS])
def test_a_fault_is_told_with_the_number_of_its_step(study, step):
    first = 'do: encode, use: pca, with: {components: 3}, to: "obsm:X_rna.pca"'
    found = fault(study, first, step)
    assert {**PREDICTS, **OTHERS}[step] in found
    assert f"step 2 ({step.split(',')[0].removeprefix('do: ')})" in found


def test_all_faults_are_told_together(study):
    steps = [*list(PREDICTS)[:2], *list(OTHERS)[:3]]
    found = fault(study, *steps)
    assert all({**PREDICTS, **OTHERS}[step] in found for step in steps)


@pytest.mark.parametrize("step", [one for one in [*PREDICTS, *OTHERS] if "X_rgb" not in one])
def test_most_are_found_without_data(study, step):
    later = step.startswith("do: deconvolve") or "abundance.other" in step
    if later:  # comes with the data, or is named when they are there
        check(recipe(step))
    else:
        with pytest.raises(RecipeError):
            check(recipe(step))


def test_what_the_data_lack_is_told(make_table):
    bare = Study(make_table())
    step = f'do: predict, use: ridge, {VIEWS}, to: "obsm:abundance.hat"'
    found = fault(bare, step)
    assert "obsm:abundance (target)" in found
    assert "obsm:X_given (views.img)" in found
    windows = 'do: predict, use: graph-transformer-pixels, to: "obsm:abundance.hat"'
    with pytest.raises(MissingSlotError, match="There is no image of A1, A2, B1"):
        plan(recipe(windows), Study(abundant(make_table())))


def test_units_are_the_folds_and_the_fit_on_all(study):
    for held_out, names in (
        ("donor", ["donor A", "donor B"]),
        ("sample", ["sample A1", "sample A2", "sample B1"]),
        ("block", [f"blocks {k}" for k in range(1, 6)]),
    ):
        step = f'do: predict, use: ridge, {VIEWS}, held_out: {held_out}, to: "obsm:abundance.hat"'
        one = plan(recipe(step), study)[0]
        assert [unit.name for unit in one.units] == [*names, STUDY]
        assert [one.fits(unit.name) for unit in one.units] == [False] * len(names) + [True]
        assert one.keeps


def test_what_reads_predictions_has_an_identity_of_all_folds(study):
    predict = f'do: predict, use: ridge, {VIEWS}, to: "obsm:abundance.hat"'
    score = 'do: score, use: l1, guess: "obsm:abundance.hat"'
    plain = plan(recipe(predict, score), study)
    other = plan(recipe(predict.replace("to:", "held_out: sample, to:"), score), study)
    assert len({unit.key for one in (plain, other) for unit in one[1].units}) == 2 * len(study.samples)


@pytest.mark.parametrize("name", [name for name in shipped() if name in {"pfm-mlp", "pfm-mlp-stain"}])
def test_the_shipped_recipes_hold_donors_out(name):
    steps = [step for step in load(name).steps if step.do == "predict"]
    assert {step.held_out for step in steps} == {"donor"}
    assert {step.background for step in steps} == {"obsm:X_img.mean-rgb"}
    assert len({step.to for step in steps}) == len(steps)
