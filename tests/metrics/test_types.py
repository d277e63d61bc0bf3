"""How well clusters find types: values known beforehand, bounds, and what more clusters do to them."""

import numpy as np
import pytest

from triptych.metrics import registry

# Six observations of type 0, three of 1, one of 2; type 2 shares a cluster with type 0.
TRUTH = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
GUESS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 1])


def score(name, truth=TRUTH, guess=GUESS, **params):
    return registry.make(name, params).score(truth, guess)


def test_values_by_hand():
    mixed = -(2 * np.log(2 / 3) + np.log(1 / 3)) / 3  # entropy of a cluster of two and one
    assert score("majority-accuracy") == pytest.approx(0.9)
    assert score("hungarian-accuracy") == pytest.approx(0.8)  # one cluster of type 0 must be type 2
    assert score("label-entropy") == pytest.approx(0.3 * mixed)
    assert score("label-entropy", unit="bits") == pytest.approx(0.3 * mixed / np.log(2))
    assert score("macro-recall") == pytest.approx(2 / 3)
    assert score("macro-recall", matching="hungarian") == pytest.approx((4 / 6 + 1 + 1) / 3)
    assert score("types-found") == 2.0


@pytest.mark.parametrize("seed", range(20))
def test_bounds(seed):
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, rng.integers(1, 6), 60), rng.integers(0, rng.integers(1, 9), 60)
    types, size = np.unique(truth, return_counts=True)
    hungarian, majority = score("hungarian-accuracy", truth, guess), score("majority-accuracy", truth, guess)
    assert 0 < hungarian <= majority <= 1
    assert majority >= size.max() / 60  # calling everything after the most frequent type
    share = size / 60
    assert -1e-12 <= score("label-entropy", truth, guess) <= -(share * np.log(share)).sum() + 1e-12
    found = score("types-found", truth, guess)
    assert 1 <= found <= min(len(types), len(np.unique(guess)))
    assert 0 < score("macro-recall", truth, guess) <= found / len(types) + 1e-12
    assert 0 < score("macro-recall", truth, guess, matching="hungarian") <= 1


@pytest.mark.parametrize("seed", range(10))
def test_splitting_clusters_helps_all_but_the_assignment_one_to_one(seed):
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, 4, 80), rng.integers(0, 3, 80)
    finer = 2 * guess + rng.integers(0, 2, 80)
    assert score("majority-accuracy", truth, finer) >= score("majority-accuracy", truth, guess)
    assert score("label-entropy", truth, finer) <= score("label-entropy", truth, guess) + 1e-12
    apart = np.arange(80)
    assert score("majority-accuracy", truth, apart) == 1.0
    assert score("macro-recall", truth, apart) == 1.0
    assert score("hungarian-accuracy", truth, apart) == 4 / 80


def test_agreement_is_perfect_whatever_the_names():
    for name in ("majority-accuracy", "hungarian-accuracy", "macro-recall"):
        assert score(name, TRUTH, (TRUTH + 1) % 3) == 1.0
    assert score("label-entropy", TRUTH, (TRUTH + 1) % 3) == 0.0
    assert score("types-found", TRUTH, (TRUTH + 1) % 3) == 3.0
