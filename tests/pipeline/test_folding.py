"""What is held out: whole donors, sections or blocks, each row once; and how the folds come together."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError
from triptych.pipeline.folding import BLOCKS, WEAKER, WORDS, folds_of, groups_of, spread_over, together
from triptych.pipeline.study import STUDY, Study

TYPES = ("stroma", "tumour", "T/NK é")


def abundant(table, seed=0, d=5):
    """A table with a view, and shares of cell types that follow from it, as obsm:abundance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(table.n_obs, d))
    y = np.exp(x @ rng.normal(size=(d, len(TYPES))) + rng.normal(0, 0.3, (table.n_obs, len(TYPES))))
    table.obsm["X_given"] = x
    table.obsm["abundance"] = pd.DataFrame(
        y / y.sum(axis=1, keepdims=True), index=table.obs_names, columns=list(TYPES)
    )
    return table


@pytest.fixture
def study(make_table):
    return Study(make_table(samples=("A1", "A2", "B1", "C1")))


def scattered(table, seed=0):
    """The same observations in another order, so that sections lie interleaved."""
    return table[np.random.default_rng(seed).permutation(table.n_obs)].copy()


@pytest.mark.parametrize("held_out", ["donor", "sample", "block"])
@pytest.mark.parametrize("order", ["sections", "scattered"])
def test_each_row_is_held_out_exactly_once(study, held_out, order):
    study = study if order == "sections" else Study(scattered(study.table))
    rows = np.concatenate(list(folds_of(study, held_out).values()))
    assert np.array_equal(np.sort(rows), np.arange(study.table.n_obs))


def test_donors_and_sections_are_held_out_whole(study):
    study = Study(scattered(study.table))
    folds = folds_of(study, "donor")
    assert list(folds) == ["donor A", "donor B", "donor C"]
    for name, rows in folds.items():
        assert set(study.table.obs["donor"].iloc[rows]) == {name.removeprefix("donor ")}
    folds = folds_of(study, "sample")
    assert list(folds) == ["sample A1", "sample A2", "sample B1", "sample C1"]
    for name, rows in folds.items():
        assert set(study.table.obs["sample"].iloc[rows]) == {name.removeprefix("sample ")}


def test_blocks_are_neighbours_of_every_section(study):
    folds = folds_of(study, "block")
    assert list(folds) == [f"blocks {k}" for k in range(1, BLOCKS + 1)]
    blocks = groups_of(study, "block")
    for rows in folds.values():
        assert set(study.table.obs["sample"].iloc[rows]) == {"A1", "A2", "B1", "C1"}
        outside = np.setdiff1d(np.arange(study.table.n_obs), rows)
        assert not set(blocks[rows]) & set(blocks[outside])


def test_what_a_fit_holds_out_inside_itself_is_of_the_same_kind(study):
    donors, samples = study.table.obs["donor"], study.table.obs["sample"]
    for held_out, column in (("donor", donors), ("sample", samples)):
        found = pd.crosstab(groups_of(study, held_out), np.asarray(column))
        assert ((found > 0).sum(axis=0) == 1).all()
        assert ((found > 0).sum(axis=1) == 1).all()
    found = pd.crosstab(groups_of(study, "block"), np.asarray(samples))
    assert ((found > 0).sum(axis=1) == 1).all()
    assert (found > 0).sum(axis=0).min() > BLOCKS


@pytest.mark.parametrize(
    ("samples", "held_out", "weaker", "told"),
    [
        (("A1", "A2"), "donor", "sample", "one donor (A)"),
        (("A1",), "donor", "block", "one donor (A)"),
        (("A1",), "sample", "block", "one sample (A1)"),
    ],
)
def test_a_single_donor_or_section_names_the_weaker_choice(make_table, samples, held_out, weaker, told):
    with pytest.raises(DataError) as caught:
        folds_of(Study(make_table(samples=samples)), held_out)
    assert told in str(caught.value)
    assert f"--set predict.held_out={weaker}" in str(caught.value)
    folds_of(Study(make_table(samples=samples)), weaker)


def test_the_words_say_how_strong_the_evidence_is():
    assert WORDS["donor"] == "donor held out"
    assert WORDS["sample"] == "section held out, its donor in the fit"
    assert WORDS["block"] == "block held out, its section in the fit"
    assert set(WEAKER) == {"sample", "block"}
    assert all("flatters" in words for words in WEAKER.values())


def test_folds_come_together_in_the_order_of_the_table(rng):
    values, folds = rng.random((6, 2)), {"a": np.array([4, 0]), "b": np.array([1, 2, 5, 3])}
    made = {n: Abundance(values[r], ("p", "q"), values[r] - 1, values[r] + 1) for n, r in folds.items()}
    made["study"] = Abundance(values * 0, ("p", "q"), values * 0, values * 0)
    whole = together(6, folds, made)
    assert whole.types == ("p", "q")
    assert np.array_equal(whole.values, values)
    assert np.array_equal(whole.low, values - 1)
    assert np.array_equal(whole.high, values + 1)
    made["a"] = Abundance(made["a"].values, ("p", "q"))
    bare = together(6, folds, made)
    assert bare.low is None
    assert bare.high is None


def test_what_is_not_predicted_is_unknown():
    part = Abundance(np.ones((2, 1)), ("p",), np.zeros((2, 1)))
    spread = spread_over(4, np.array([3, 1]), part)
    assert np.array_equal(np.isnan(spread.values[:, 0]), [True, False, True, False])
    assert np.array_equal(np.isnan(spread.low[:, 0]), [True, False, True, False])
    assert spread.high is None


def test_a_section_of_few_places_has_folds_that_hold_none_of_it(make_table):
    table = make_table(side=2, samples=("A1",))
    sizes = [len(rows) for rows in folds_of(Study(table), "block").values()]
    assert sum(sizes) == 4
    assert STUDY not in folds_of(Study(table), "block")


def test_a_donor_of_any_name_gives_no_fold_the_name_of_the_fit_on_all(make_table):
    table = make_table(samples=("A1", "B1"))
    table.obs["donor"] = table.obs["donor"].cat.rename_categories({"A": STUDY})
    assert set(folds_of(Study(table), "donor")) == {f"donor {STUDY}", "donor B"}
