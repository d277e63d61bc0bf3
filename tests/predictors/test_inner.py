"""Inner folds and conformal intervals."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.predictors.inner import bounded, inner_folds, learned_and_tested, margins, summed_errors


def nowhere(n):
    return Places(np.zeros((n, 2)), np.zeros(n, int))


def test_groups_are_held_out_whole_and_merged_to_about_equal_size(rng):
    groups = rng.permutation(np.repeat([7, 2, 5, 0, 9, 11, 4], [50, 40, 30, 20, 10, 10, 5]))
    folds = inner_folds(groups, nowhere(165), most=4)
    assert np.array_equal(np.unique(folds), np.arange(4))
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    assert sorted(np.bincount(folds)) == [35, 40, 40, 50]


def test_two_groups_are_two_folds():
    assert inner_folds(np.array([4, 4, 1, 1, 1]), nowhere(5)).tolist() == [1, 1, 0, 0, 0]


def test_sections_where_there_is_one_group(rng):
    sample = rng.permutation(np.repeat([3, 8, 9], 10))
    folds = inner_folds(np.zeros(30, int), Places(rng.uniform(0, 9, (30, 2)), sample))
    assert len(np.unique(folds)) == 3
    assert len(set(zip(folds.tolist(), sample.tolist(), strict=True))) == 3


def test_blocks_where_there_is_one_section(rng):
    um = rng.uniform(0, 1000, (800, 2))
    folds = inner_folds(np.full(800, 2), Places(um, np.zeros(800, int)))
    assert np.array_equal(np.unique(folds), np.arange(5))
    assert np.bincount(folds).max() < 1.5 * np.bincount(folds).min()
    near = np.linalg.norm(um[:, None] - um[None], axis=2)
    np.fill_diagonal(near, np.inf)
    assert (folds[near.argmin(axis=1)] == folds).mean() > 0.8  # neighbours stay together
    order = rng.permutation(800)
    again = inner_folds(np.full(800, 2), Places(um[order], np.zeros(800, int)))
    assert np.array_equal(again, folds[order])


def test_one_place_cannot_be_divided():
    with pytest.raises(DataError, match=r"one group, one section and one place.*Give more than one donor"):
        inner_folds(np.zeros(9, int), nowhere(9))


def test_each_row_is_tested_once():
    folds = np.array([0, 2, 1, 0, 2])
    pairs = list(learned_and_tested(folds))
    assert [test.tolist() for _, test in pairs] == [[0, 3], [2], [1, 4]]
    assert all(sorted([*learn, *test]) == list(range(5)) for learn, test in pairs)


def test_errors_are_summed_over_standardised_types(rng):
    truth, guesses = rng.uniform(0, 9, (30, 3)) * [1, 100, 1], rng.uniform(0, 9, (4, 30, 3))
    truth[:, 2] = 4.0
    naive = [
        sum(np.mean((truth[:, t] - guess[:, t]) ** 2) / truth[:, t].var() for t in range(2))
        for guess in guesses
    ]
    assert np.allclose(summed_errors(truth, guesses), naive)


@pytest.mark.parametrize(("m", "level", "rank"), [(9, 0.9, 9), (99, 0.9, 90), (20, 0.9, 19), (29, 0.5, 15)])
def test_the_margin_is_the_conformal_quantile(rng, m, level, rank):
    residual, spread = rng.normal(size=(m, 2)), rng.uniform(1, 2, (m, 2))
    found = margins(residual, spread, level)
    for t in range(2):
        assert found[t] == sorted(abs(residual[i, t]) / spread[i, t] for i in range(m))[rank - 1]
    assert np.array_equal(margins(residual, spread[:, :1], level)[0], found[0])


def test_few_residuals_give_the_largest(rng):
    residual = rng.normal(size=(4, 3))
    assert np.array_equal(margins(residual, np.ones((4, 1)), 0.9), np.abs(residual).max(axis=0))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_the_interval_covers_exchangeable_values(level):
    rng, held = np.random.default_rng(1), []
    for _ in range(400):
        spread = rng.uniform(0.5, 3, (60, 1))
        residual = spread * rng.standard_t(3, (60, 1))
        margin = margins(residual[:59], spread[:59], level)
        held.append(abs(residual[59, 0]) <= margin[0] * spread[59, 0])
    expected = np.ceil(60 * level) / 60  # exact for 59 scores without ties
    assert abs(np.mean(held) - expected) < 3.5 * np.sqrt(expected * (1 - expected) / 400)


def test_guesses_are_bounded():
    values, spread = np.array([[-1.0, 2.0], [3.0, 0.5]]), np.array([[1.0], [2.0]])
    found = bounded(values, spread, np.array([0.5, 1.0]), ("T", "B"))
    assert found.types == ("T", "B")
    assert np.array_equal(found.values, [[0, 2], [3, 0.5]])
    assert np.array_equal(found.low, [[0, 1], [2, 0]])
    assert np.array_equal(found.high, [[0.5, 3], [4, 2.5]])
