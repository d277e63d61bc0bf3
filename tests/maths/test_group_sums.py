"""Sums of squares of two groups against loops, uniform random subsets, p-values against all labellings."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from triptych.maths import group_sums
from triptych.maths.group_sums import pvalue, squares, subsets


def pair(a=20, b=35, d=6, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(a, d)), rng.normal(size=(b, d)) + shift


def of_distances(rows):
    """Sum of squared distances of all pairs of rows, divided by their number (Huygens)."""
    return sum(((x - y) ** 2).sum() for x, y in combinations(rows, 2)) / len(rows)


def test_squares_are_those_of_the_distances():
    one, other = pair(shift=0.3)
    found = squares(one, other)
    total, within = of_distances(np.vstack([one, other])), of_distances(one) + of_distances(other)
    assert found.within == pytest.approx(within, rel=1e-12)
    assert found.between == pytest.approx(total - within, rel=1e-10)
    assert found.f == pytest.approx((total - within) / (within / 53), rel=1e-10)
    assert found.r2 == pytest.approx(1 - within / total, rel=1e-10)
    assert found.distance == pytest.approx(np.sqrt(((one.mean(0) - other.mean(0)) ** 2).sum()))


def test_where_nothing_varies():
    apart = squares(np.full((3, 2), 0.1), np.full((4, 2), 0.7))
    assert apart.f == np.inf
    assert apart.r2 == pytest.approx(1)
    alike = squares(np.full((3, 2), 0.1), np.full((4, 2), 0.1))
    assert (alike.f, alike.r2) == (0.0, 0.0)
    assert pvalue(np.full((3, 2), 0.1), np.full((4, 2), 0.1), 99, np.random.default_rng(0)) == 1.0


@pytest.mark.parametrize(
    ("n", "size", "count"), [(2, 1, 50), (9, 4, 200), (1000, 1, 80), (700, 350, 300), (5000, 4990, 20)]
)
def test_subsets_have_their_size(n, size, count, rng):
    found = subsets(n, size, count, rng)
    assert found.shape == (count, n)
    assert set(np.unique(found)) == {0, 1}
    assert (found.sum(axis=1) == size).all()


@pytest.mark.parametrize(("n", "size"), [(6, 3), (7, 1), (8, 6)])
def test_all_sets_are_equally_likely(n, size, rng):
    found = subsets(n, size, 30_000, rng)
    codes = (found @ (2.0 ** np.arange(n))).astype(int)
    times = np.bincount(codes, minlength=2**n)
    sets = [sum(2**row for row in rows) for rows in combinations(range(n), size)]
    assert times.sum() == times[sets].sum()
    assert chisquare(times[sets]).pvalue > 1e-3


def test_pairs_of_rows_meet_as_often_in_larger_sets(rng):
    found = subsets(40, 15, 40_000, rng)
    together = (found.T @ found)[np.triu_indices(40, 1)] / len(found)
    expected = 15 * 14 / (40 * 39)
    assert np.abs(together - expected).max() < 5 * np.sqrt(expected * (1 - expected) / len(found))
    assert np.corrcoef(found[:300])[np.triu_indices(300, 1)].mean() == pytest.approx(
        0, abs=0.01
    )  # sets are unrelated


def enumerated(one, other):
    """Share of all labellings whose F is at least the given one, ties included."""
    x = np.vstack([one, other])
    n, a = len(x), len(one)
    values = []
    for rows in combinations(range(n), a):
        inside = np.isin(np.arange(n), rows)
        values.append(squares(x[inside], x[~inside]).between)
    return np.mean(np.array(values) >= squares(one, other).between * (1 - 1e-9))


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_all_labellings(seed):
    one, other = pair(4, 5, 2, shift=0.8, seed=seed)
    exact, drawn = enumerated(one, other), 20_000
    found = pvalue(one, other, drawn, np.random.default_rng(seed))
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / drawn) + 1 / drawn)


def test_ties_count_as_at_least_as_far():
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 2, (count, 1)) / 10 for count in (5, 6))
    exact, drawn = enumerated(one, other), 20_000
    found = pvalue(one, other, drawn, rng)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / drawn) + 1 / drawn)


@pytest.mark.parametrize("block", [64, 2**20])
def test_single_precision_changes_no_rank(monkeypatch, block):
    monkeypatch.setattr(group_sums, "BLOCK", block)
    one, other = pair(30, 40, 3, shift=0.2, seed=4)
    x = np.vstack([one, other]) * 1e30 + 1e32
    found = pvalue(x[:30], x[30:], 500, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    shuffled = (np.vstack([one, other]) - np.vstack([one, other]).mean(axis=0))[rng.permutation(70)]
    at_once = max(1, block // 70)
    drawn = np.vstack(
        [subsets(70, 30, min(at_once, 500 - start), rng) for start in range(0, 500, at_once)]
    ).astype(float)
    centred = one - np.vstack([one, other]).mean(axis=0)
    naive = sum(((row @ shuffled) ** 2).sum() >= (centred.sum(axis=0) ** 2).sum() for row in drawn)
    assert found == (1 + naive) / 501


def test_few_rows_of_many_columns_are_turned_and_nothing_else():
    one, other = pair(7, 9, 6, shift=0.7)
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(80, 80)))[0][:6]
    narrow = pvalue(one, other, 999, np.random.default_rng(5))
    assert 0.001 < narrow < 0.9
    assert pvalue(one @ turned, other @ turned, 999, np.random.default_rng(5)) == narrow


def test_either_order_of_groups_is_the_same_test():
    one, other = pair(12, 30, 4, shift=0.25)
    p = [pvalue(*given, 20_000, np.random.default_rng(2)) for given in ((one, other), (other, one))]
    assert p[0] == pytest.approx(p[1], abs=0.02)
    assert squares(one, other).f == pytest.approx(squares(other, one).f)


def test_pvalues_are_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(11)
    found = [
        pvalue(rng.exponential(size=(8, 3)), rng.exponential(size=(14, 3)), 199, rng) for _ in range(600)
    ]
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert min(found) >= 1 / 200


def test_two_groups_far_apart_have_the_smallest():
    assert pvalue(*pair(shift=3.0), 999, np.random.default_rng(0)) == 1 / 1000
