"""Every metric ranks the controls as it should."""

import numpy as np
import pytest

from triptych.metrics import registry
from triptych.metrics.controls import constant, oracle, shuffled

# Chance has no fixed value here: what the known labels get, and what one cluster of three types gets.
OF_TYPES = {
    "majority-accuracy": (1, 1 / 3),
    "hungarian-accuracy": (1, 1 / 3),
    "macro-recall": (1, 1 / 3),
    "label-entropy": (0, np.log(3)),
    "types-found": (5, 1),
    "jaccard": (1, 1 / 9),
}
AMOUNTS = {
    "pearson": (1, 0),
    "pearson-observations": (1, 0),
    "l1": (0, 1.5),
    "rmse": (0, 2),
    "jensen-shannon": (0, 0.5),
}
TRUTH = [name for name in registry if registry.find(name).against == "truth" and name not in OF_TYPES]


def test_shuffling_keeps_sizes_and_the_original(rng):
    guess = np.arange(50) % 4
    found = shuffled(guess, rng)
    assert np.array_equal(np.bincount(found), np.bincount(guess))
    assert not np.array_equal(found, guess)
    assert np.array_equal(guess, np.arange(50) % 4)


@pytest.mark.parametrize("name", TRUTH)
def test_floor_and_ceiling(name, rng):
    truth = np.arange(600) % 5
    metric = registry.make(name)
    noisy = np.where(rng.uniform(size=600) < 0.3, rng.integers(0, 5, 600), truth)
    best, middle, worst = (metric.score(truth, g) for g in (oracle(truth), noisy, shuffled(truth, rng)))
    assert best == pytest.approx(1)
    assert worst < 0.1
    assert worst < middle < best


@pytest.mark.parametrize("name", TRUTH)
def test_one_cluster_of_all(name):
    value = registry.make(name).score(np.arange(60) % 3, constant(60))
    assert value == pytest.approx(1 if name == "completeness" else 0)


@pytest.mark.parametrize("name", OF_TYPES)
def test_metrics_of_types_rank_the_controls(name, rng):
    truth = np.repeat(np.arange(5), [300, 150, 100, 40, 10])
    metric, (ceiling, one_cluster) = registry.make(name), OF_TYPES[name]
    noisy = np.where(rng.uniform(size=600) < 0.5, rng.integers(0, 5, 600), truth)
    best, middle, worst = (metric.score(truth, g) for g in (oracle(truth), noisy, shuffled(truth, rng)))
    assert best == pytest.approx(ceiling)
    sign = 1 if metric.greater_is_better else -1
    assert sign * best > sign * middle > sign * worst
    assert metric.score(np.arange(60) % 3, constant(60)) == pytest.approx(one_cluster)


@pytest.mark.parametrize("name", AMOUNTS)
def test_metrics_of_abundance_rank_the_controls(name, rng):
    """Truth, a guess near it, and the truth of other observations, which is at the level of chance."""
    truth = rng.gamma(0.5, 2.0, (600, 8))
    metric = registry.make(name)
    sign = 1 if metric.greater_is_better else -1
    guesses = oracle(truth), np.abs(truth + rng.normal(0, 0.5, truth.shape)), shuffled(truth, rng)
    best, middle, worst = (metric.score(truth, one) for one in guesses)
    ceiling, chance = AMOUNTS[name]
    assert best == pytest.approx(ceiling, abs=1e-7)
    assert sign * best > sign * middle > sign * worst
    assert abs(worst) < 0.1 if chance == 0 else worst > 0.7 * chance
    assert registry.find(name).against == "abundance"


@pytest.mark.parametrize("name", [n for n in registry if registry.find(n).against == "abundance"])
def test_every_metric_of_abundance_has_a_ceiling(name):
    assert name in AMOUNTS


def test_silhouette_of_the_truth_is_above_chance(rng):
    truth = np.arange(90) % 3
    x = rng.normal(size=(90, 3)) + 5 * np.eye(3)[truth]
    metric = registry.make("silhouette")
    assert metric.score(x, oracle(truth)) > 0.5 > 0.1 > metric.score(x, shuffled(truth, rng))
