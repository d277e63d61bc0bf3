"""Metrics of abundance: against naive loops, scipy and numpy; controls; and what they refuse."""

import warnings
from itertools import product

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from triptych.core.errors import DataError
from triptych.metrics import registry

NAMES = ("pearson", "pearson-observations", "l1", "rmse", "jensen-shannon")
INTERVALS = ("coverage", "interval-width")
BEST = {"pearson": 1, "pearson-observations": 1, "l1": 0, "rmse": 0, "jensen-shannon": 0}


@pytest.fixture
def pair(rng):
    truth = rng.gamma(0.5, 2.0, size=(40, 6))
    return truth, np.abs(truth + rng.normal(0, 0.7, truth.shape))


def score(name, truth, guess):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return registry.make(name).score(truth, guess)


def naive(name, truth, guess):
    n, t = truth.shape
    if name == "pearson":
        return np.mean([np.corrcoef(truth[:, j], guess[:, j])[0, 1] for j in range(t)])
    if name == "pearson-observations":
        return np.mean([np.corrcoef(truth[i], guess[i])[0, 1] for i in range(n)])
    if name == "jensen-shannon":
        return np.mean([jensenshannon(truth[i], guess[i], base=2) for i in range(n)])
    errors = [truth[i, j] - guess[i, j] for i, j in product(range(n), range(t))]
    return np.mean(np.abs(errors)) if name == "l1" else np.sqrt(np.mean(np.square(errors)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_against_naive_loops(name, kind, pair):
    truth, guess = (values.astype(kind) for values in pair)
    found = score(name, truth, guess)
    assert type(found) is float
    assert found == pytest.approx(naive(name, truth.astype(float), guess.astype(float)), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_the_ceiling_and_a_shuffle_is_worse_than_a_good_guess(name, pair, rng):
    truth, guess = pair
    sign = 1 if registry.make(name).greater_is_better else -1
    assert score(name, truth, truth) == pytest.approx(BEST[name], abs=1e-7)
    shuffled = rng.permuted(guess, axis=0 if name == "pearson" else 1)
    assert (
        sign * score(name, truth, truth)
        > sign * score(name, truth, guess)
        > sign * score(name, truth, shuffled)
    )


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows_and_types_does_not_matter(name, pair, rng):
    rows, columns = rng.permutation(40), rng.permutation(6)
    moved = (values[rows][:, columns] for values in pair)
    assert score(name, *moved) == pytest.approx(score(name, *pair), abs=1e-12)


def test_constant_types_are_left_out_and_constant_guesses_count_0(pair):
    truth, guess = pair[0].copy(), pair[1].copy()
    truth[:, 0] = 0.1 * 3  # rounded, so that its mean is not itself
    guess[:, 1] = 0.7
    rest = [np.corrcoef(truth[:, j], guess[:, j])[0, 1] for j in range(2, 6)]
    assert score("pearson", truth, guess) == pytest.approx(sum(rest) / 5)
    truth, guess = truth.T.copy(), guess.T.copy()
    assert score("pearson-observations", truth, guess) == pytest.approx(sum(rest) / 5)


@pytest.mark.parametrize("name", ["pearson", "pearson-observations"])
def test_nothing_that_varies_is_no_number(name):
    assert np.isnan(score(name, np.full((5, 3), 0.2), np.arange(15.0).reshape(5, 3)))
    assert np.isnan(score(name, np.ones((1, 1)), np.ones((1, 1))))
    assert score(name, np.arange(15.0).reshape(5, 3), np.full((5, 3), 0.2)) == 0


def test_correlation_sees_no_scale_and_errors_do(pair):
    truth, guess = pair
    for name in ("pearson", "pearson-observations"):
        assert score(name, truth, 1e6 + 3 * guess) == pytest.approx(score(name, truth, guess), abs=1e-8)
    assert score("l1", truth, truth + 2) == pytest.approx(2)
    assert score("rmse", truth, truth - 2) == pytest.approx(2)


def test_jensen_shannon_of_proportions(pair, rng):
    truth, guess = pair
    scale = rng.uniform(0.5, 2, (40, 1))
    assert score("jensen-shannon", truth * scale, guess) == pytest.approx(
        score("jensen-shannon", truth, guess)
    )
    apart = np.array([[1.0, 0, 0], [0, 2, 0]]), np.array([[0.0, 1, 3], [1, 0, 0]])
    assert score("jensen-shannon", *apart) == pytest.approx(1)


def test_jensen_shannon_without_proportions():
    truth = np.array([[0.0, 0], [1, 0], [1, 1]])
    guess = np.array([[1.0, 0], [0, 0], [1, 1]])
    assert score("jensen-shannon", truth, guess) == pytest.approx(
        0.5
    )  # nothing known; nothing guessed; equal
    assert np.isnan(score("jensen-shannon", np.zeros((2, 2)), np.ones((2, 2))))


def test_intervals_against_naive_loops(pair, rng):
    truth, guess = pair
    ends = np.stack([guess - rng.uniform(0, 1, guess.shape), guess + rng.uniform(0, 1, guess.shape)])
    held = [ends[0, i, j] <= truth[i, j] <= ends[1, i, j] for i, j in product(range(40), range(6))]
    assert score("coverage", truth, ends) == pytest.approx(np.mean(held))
    assert score("interval-width", truth, ends) == pytest.approx(np.mean(ends[1] - ends[0]))
    assert 0 < np.mean(held) < 1


def test_ends_belong_to_an_interval(pair):
    truth = pair[0]
    assert score("coverage", truth, np.stack([truth, truth])) == 1.0
    assert score("interval-width", truth, np.stack([truth, truth])) == 0.0
    assert score("coverage", truth, np.stack([truth + 1, truth + 2])) == 0.0
    assert registry.make("coverage").greater_is_better
    assert not registry.make("interval-width").greater_is_better


def test_what_each_looks_at():
    assert {registry.find(name).against for name in NAMES} == {"abundance"}
    assert {registry.find(name).against for name in INTERVALS} == {"interval"}


@pytest.mark.parametrize("name", NAMES)
def test_all_faults_are_told_together(name, pair):
    truth, guess = pair[0].copy(), pair[1].copy()
    truth[3, :2] = np.nan
    with pytest.raises(DataError) as caught:
        registry.make(name).score(truth, guess[:7])
    assert f"{name}: 2 faults" in str(caught.value)
    assert "the truth has shape (40, 6) and the guess (7, 6); they must be the same" in str(caught.value)
    assert "2 values of the truth are not finite. Leave those rows out" in str(caught.value)
    with pytest.raises(DataError, match="there is no observation, or no type, whose abundance is known"):
        registry.make(name).score(truth[:0], guess[:0])
    with pytest.raises(DataError, match=r"the truth has shape \(40,\); it needs \(n, t\)"):
        registry.make(name).score(pair[0][:, 0], guess[:, 0])


def test_proportions_of_negative_values_are_refused(pair):
    truth, guess = pair[0], pair[1].copy()
    guess[2, 2] = -0.1
    with pytest.raises(DataError, match="jensen-shannon: 1 values of the guess are below 0"):
        registry.make("jensen-shannon").score(truth, guess)
    assert np.isfinite(score("l1", truth, guess))


@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_that_are_none_are_refused(name, pair):
    truth, metric = pair[0], registry.make(name)
    with pytest.raises(DataError, match=r"the interval has shape \(40, 6\); it needs \(2, 40, 6\)"):
        metric.score(truth, truth)
    with pytest.raises(DataError, match="240 intervals have a low end above their high end"):
        metric.score(truth, np.stack([truth + 1, truth]))
    with pytest.raises(DataError, match="240 values of the interval are not finite"):
        metric.score(truth, np.stack([truth, np.full_like(truth, np.inf)]))
