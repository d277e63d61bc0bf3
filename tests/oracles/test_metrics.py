"""Each metric against scikit-learn, scipy, or plain loops."""

import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import jensenshannon
from sklearn import metrics as theirs

from triptych.metrics import registry


def table(truth, guess):
    """Observations of each type in each cluster, both without gaps."""
    t, g = (np.unique(codes, return_inverse=True)[1] for codes in (truth, guess))
    return theirs.cluster.contingency_matrix(t, g)


def hungarian(truth, guess):
    counts = table(truth, guess)
    return counts[linear_sum_assignment(-counts)].sum() / len(truth)


def entropy_within(truth, guess):
    total = 0.0
    for cluster in np.unique(guess):
        share = np.unique(truth[guess == cluster], return_counts=True)[1] / (guess == cluster).sum()
        total -= (guess == cluster).mean() * (share * np.log(share)).sum()
    return total


def called(truth, guess):
    """Each observation renamed after the type that its cluster holds most of, the rarest when several tie."""
    found, (types, size) = np.empty_like(truth), np.unique(truth, return_counts=True)
    for cluster in np.unique(guess):
        votes = [(truth[guess == cluster] == one).sum() for one in types]
        best = max(zip(votes, -size, -np.arange(len(types)), types, strict=True))
        found[guess == cluster] = best[-1]
    return found


def macro_recall(truth, guess):
    return theirs.recall_score(truth, called(truth, guess), average="macro", labels=np.unique(truth))


def jaccard(truth, guess):
    """Mean over types of the index of the cluster that is matched to each, the best of all matchings."""
    types, clusters = np.unique(truth), np.unique(guess)
    index = np.array([[theirs.jaccard_score(truth == t, guess == g) for g in clusters] for t in types])
    return index[linear_sum_assignment(-index)].sum() / len(types)


NEAR = {"ilisi", "clisi", "kbet", "graph-connectivity", "batch-silhouette"}  # test_integration_metrics.py
NUCLEI = {  # double loops over masks in tests/metrics/test_nuclei.py
    "dice", "aji", "pq", "pq-pooled", "mpq", "mpq-pooled", "count-error",
    "detection-precision", "detection-recall", "detection-f1", "type-f1",
}  # fmt: skip
ORACLES = {
    "ari": theirs.adjusted_rand_score,
    "nmi": theirs.normalized_mutual_info_score,
    "ami": theirs.adjusted_mutual_info_score,
    "homogeneity": theirs.homogeneity_score,
    "completeness": theirs.completeness_score,
    "majority-accuracy": lambda truth, guess: table(truth, guess).max(axis=0).sum() / len(truth),
    "hungarian-accuracy": hungarian,
    "jaccard": jaccard,
    "label-entropy": entropy_within,
    "macro-recall": macro_recall,
    "types-found": lambda truth, guess: len(np.unique(called(truth, guess))),
    "silhouette": theirs.silhouette_score,
}


def pairs():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 500)
    yield "noisy", truth, np.where(rng.uniform(size=500) < 0.4, rng.integers(0, 9, 500), truth)
    yield "unrelated", truth, rng.integers(0, 3, 500)
    yield "finer", truth, truth * 3 + rng.integers(0, 3, 500)
    yield "equal", truth, (truth + 3) % 6
    yield "one class", np.zeros(500, int), truth
    yield "one cluster", truth, np.zeros(500, int)
    yield "nothing varies", np.zeros(5, int), np.zeros(5, int)
    yield "all apart", np.arange(8), np.arange(8)
    yield "apart and together", np.arange(8), np.zeros(8, int)
    yield "one observation", np.zeros(1, int), np.zeros(1, int)
    yield "gaps in the codes", truth * 1000, truth * 7
    yield "many", rng.integers(0, 2, 200_000), rng.integers(0, 2, 200_000)  # beyond 32-bit products


def correlation(x, y):
    """numpy's, None where it is not defined because x does not vary, 0 where y alone does not."""
    if min(x) == max(x):
        return None
    return 0.0 if min(y) == max(y) else np.corrcoef(x, y)[0, 1]


def mean_of(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def distance(p, q):
    """scipy's, of base 2; None where nothing is known, the largest where nothing is guessed."""
    if sum(p) == 0:
        return None
    return 1.0 if sum(q) == 0 else jensenshannon(p, q, base=2)


def share_held(truth, ends):
    inside = [
        low <= x <= high for x, low, high in zip(truth.ravel(), *(end.ravel() for end in ends), strict=True)
    ]
    return sum(inside) / len(inside)


OF_TYPES = {
    "pearson": lambda truth, guess: mean_of(map(correlation, truth.T.tolist(), guess.T.tolist())),
    "pearson-observations": lambda truth, guess: mean_of(map(correlation, truth.tolist(), guess.tolist())),
    "l1": theirs.mean_absolute_error,
    "rmse": lambda truth, guess: math.sqrt(theirs.mean_squared_error(truth.ravel(), guess.ravel())),
    "jensen-shannon": lambda truth, guess: mean_of(map(distance, truth.tolist(), guess.tolist())),
}
INTERVALS = {
    "coverage": share_held,
    "interval-width": lambda _, ends: mean_of(
        [high - low for low, high in zip(*map(np.ravel, ends), strict=True)]
    ),
}


def amounts():
    rng = np.random.default_rng(2)
    truth = rng.gamma(0.4, 2.0, (60, 7))
    near = np.abs(truth + rng.normal(0, 0.5, (60, 7)))
    shares = [x / x.sum(axis=1, keepdims=True) for x in (truth, near)]
    yield "cells", truth, near
    yield "proportions", *shares
    yield "unrelated", truth, rng.permutation(near)
    yield "equal", truth, truth
    yield "sparse", np.where(truth < 1, 0, truth), np.where(near < 0.7, 0, near)  # and rows of nothing but 0
    yield "nothing guessed", truth, np.zeros((60, 7))
    yield "nothing there", np.zeros((60, 7)), near
    yield "types that are constant", truth * (np.arange(7) > 2) + 0.3, near * (np.arange(7) != 5) + 0.3
    yield "the same everywhere", np.full((9, 3), 0.2), np.full((9, 3), 0.1)
    yield "one type", truth[:, :1], near[:, :1]
    yield "one observation", truth[:1], near[:1]
    yield "one of each", truth[:1, :1], near[:1, :1]
    yield "whole numbers", np.rint(4 * truth).astype(np.int64), np.rint(4 * near).astype(np.int64)
    yield "large", 1e6 + 1e5 * truth, 1e6 + 1e5 * near  # beyond what single precision holds
    yield "tiny", 1e-12 * truth, 1e-12 * near


AMOUNTS = [pytest.param(truth, guess, id=name) for name, truth, guess in amounts()]


def test_every_metric_has_an_oracle():
    assert set(registry.table) <= set(ORACLES) | set(OF_TYPES) | set(INTERVALS) | NEAR | NUCLEI


@pytest.mark.parametrize("name", OF_TYPES)
@pytest.mark.parametrize(("truth", "guess"), AMOUNTS)
def test_amounts(name, truth, guess):
    found = registry.make(name).score(truth, guess)
    assert isinstance(found, float)
    assert found == pytest.approx(OF_TYPES[name](truth, guess), rel=1e-7, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", OF_TYPES)
def test_amounts_in_single_precision(name):
    """As exact as in double precision, for they are widened first."""
    _, truth, guess = next(amounts())
    truth, guess = truth.astype(np.float32), guess.astype(np.float32)
    expected = OF_TYPES[name](truth.astype(np.float64), guess.astype(np.float64))
    assert registry.make(name).score(truth, guess) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize(("truth", "guess"), AMOUNTS)
@pytest.mark.parametrize("width", [0.0, 0.5])
def test_intervals(name, truth, guess, width):
    """Of no width and of some; their ends belong to them."""
    ends = np.stack([guess - width, guess + 2 * width])
    found = registry.make(name).score(truth, ends)
    assert isinstance(found, float)
    assert found == pytest.approx(INTERVALS[name](truth, ends), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in ORACLES if name != "silhouette"])
@pytest.mark.parametrize(("truth", "guess"), [pytest.param(t, g, id=name) for name, t, g in pairs()])
def test_labels(name, truth, guess):
    found = registry.make(name).score(truth, guess)
    assert isinstance(found, float)
    assert found == pytest.approx(ORACLES[name](truth, guess), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [2, 7, 150])
def test_silhouette(dtype, k):
    rng = np.random.default_rng(1)
    guess = np.append(rng.integers(0, k, 400), np.arange(k))
    x = (rng.normal(size=(len(guess), 9)) + guess[:, None] % 4 + 20).astype(dtype)
    expected = theirs.silhouette_score(x.astype(np.float64), guess)
    assert registry.make("silhouette").score(x, guess) == pytest.approx(expected, abs=1e-6)
