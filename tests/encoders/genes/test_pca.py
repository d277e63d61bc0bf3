"""Principal components of counts, stage by stage, against dense arithmetic."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA

from triptych.core.errors import DataError
from triptych.core.protocols import Counts
from triptych.encoders.genes.pca import Pca
from triptych.maths.variable_genes import highly_variable


def as_counts(dense, batch=None):
    n, g = dense.shape
    batch = np.zeros(n, int) if batch is None else batch
    return Counts(sp.csr_matrix(dense), np.array([f"g{i}" for i in range(g)]), batch)


@pytest.fixture
def dense(rng):
    return rng.poisson(rng.gamma(1, 1, (90, 5)) @ rng.gamma(1, 0.5, (5, 60)))


def reference(x, components):
    model = PCA(components, svd_solver="full").fit(x)
    loadings = model.components_.T
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(components)])
    return model.transform(x) * signs


def lognormalised(x):
    totals = x.sum(axis=1, keepdims=True)
    return np.log1p(x / totals * np.median(totals))


def test_default_is_pca_of_logged_normalised_counts(dense, rng):
    found = Pca(components=6).encode(as_counts(dense), rng)
    assert np.abs(found - reference(lognormalised(dense), 6)).max() < 1e-6


def test_scaled_and_clipped(dense, rng):
    x = lognormalised(dense)
    z = np.minimum((x - x.mean(axis=0)) / x.std(axis=0, ddof=1), 2)
    found = Pca(components=6, scale=True, max_value=2).encode(as_counts(dense), rng)
    assert np.abs(found - reference(z, 6)).max() < 1e-6


def test_raw_counts(dense, rng):
    found = Pca(components=3, normalise=False, log=False).encode(as_counts(dense), rng)
    assert np.abs(found - reference(dense.astype(float), 3)).max() < 1e-6


def test_rare_genes_are_left_out_first(dense, rng):
    dense[:, 10:20] = 0
    dense[:4, 10:20] = 500
    kept = (dense > 0).sum(axis=0) >= 5
    found = Pca(components=4, min_spots=5).encode(as_counts(dense), rng)
    assert np.abs(found - reference(lognormalised(dense[:, kept]), 4)).max() < 1e-6


def test_variable_genes_are_kept(dense, rng):
    batch = np.arange(90) % 2
    chosen = highly_variable(sp.csr_matrix(dense), 20, batch)
    found = Pca(components=4, hvg=20).encode(as_counts(dense, batch), rng)
    assert np.abs(found - reference(lognormalised(dense[:, chosen]), 4)).max() < 1e-6


def test_an_observation_without_counts_stays_finite(dense, rng):
    dense[0] = 0
    assert np.isfinite(Pca(components=3, scale=True).encode(as_counts(dense), rng)).all()


def test_target_sum_matters(dense, rng):
    low, high = (Pca(components=3, target_sum=t).encode(as_counts(dense), rng) for t in (10.0, 1e6))
    assert low.std() < high.std()


def test_too_strict_a_filter_is_told(dense, rng):
    with pytest.raises(DataError, match="None of 60 genes is seen in 91 observations. Lower min_spots"):
        Pca(min_spots=91).encode(as_counts(dense), rng)


def test_too_many_components_are_told(dense, rng):
    with pytest.raises(DataError, match="20 components cannot be had from 90 observations × 10 features"):
        Pca(hvg=10).encode(as_counts(dense), rng)


def test_negative_values_are_told(dense, rng):
    with pytest.raises(DataError, match="some values are negative. Pass the raw counts"):
        Pca().encode(as_counts(dense - 1), rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"components": 0}, "components must be at least 1"),
        ({"hvg": -1}, "must not be negative"),
        ({"max_value": -1.0}, "must not be negative"),
        ({"target_sum": 0.0}, "target_sum must be above 0"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Pca(**params)
