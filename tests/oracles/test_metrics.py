"""Each metric against scikit-learn."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
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


def test_every_metric_has_an_oracle():
    assert set(registry.table) <= set(ORACLES) | NEAR


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
