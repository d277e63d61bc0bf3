"""Each metric against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as theirs

from triptych.metrics import registry

NEAR = {"ilisi", "clisi", "kbet", "graph-connectivity", "batch-silhouette"}  # test_integration_metrics.py
ORACLES = {
    "ari": theirs.adjusted_rand_score,
    "nmi": theirs.normalized_mutual_info_score,
    "ami": theirs.adjusted_mutual_info_score,
    "homogeneity": theirs.homogeneity_score,
    "completeness": theirs.completeness_score,
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
