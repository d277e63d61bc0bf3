"""The ranking of genes against direct regressions, and against scanpy where it can run."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.maths.variable_genes import highly_variable, loess, standardised_variance


@pytest.fixture
def counts(rng):
    mean = rng.gamma(0.6, 1.0, 400) + 0.02
    mean[::20] += 0.5  # of rare genes no ranking can tell
    rate = np.repeat(mean[None], 200, axis=0)
    rate[:100, ::20] *= 6  # every twentieth gene has a domain of its own
    return sp.csr_matrix(rng.poisson(rate))


def direct(x, y, span):
    """A weighted fit at every point."""
    width, found = int(span * len(x)), np.empty(len(x))
    for i, point in enumerate(x):
        distance = np.abs(x - point)
        near = np.argsort(distance, kind="stable")[:width]
        weight = (1 - (distance[near] / distance[near].max()) ** 3) ** 3
        # numpy squares the weights it is given
        found[i] = np.polyval(np.polyfit(x[near] - point, y[near], 2, w=np.sqrt(weight)), 0)
    return found


def test_loess_is_the_direct_fit(rng):
    x = rng.gamma(2, 1, 500)
    y = np.sin(x) + rng.normal(0, 0.1, 500)
    assert np.abs(loess(x, y) - direct(x, y, 0.3)).max() < 1e-3


def test_loess_keeps_a_parabola(rng):
    x = rng.normal(size=300)
    assert np.allclose(loess(x, 1 + x - 2 * x**2), 1 + x - 2 * x**2)


@pytest.mark.parametrize("x", [np.ones(10), np.repeat([1.0, 2.0], 30), np.array([1.0]), np.array([1.0, 2])])
def test_loess_survives_ties_and_few_points(x):
    assert np.allclose(loess(x, 3 * x), 3 * x)


def test_genes_with_a_domain_are_found(counts):
    found = highly_variable(counts, 20, np.zeros(200, int))
    assert len(set(found) & set(range(0, 400, 20))) >= 17
    assert (np.diff(found) > 0).all()


def test_standardised_variance_of_dense_values(counts):
    x = counts.toarray().astype(float)
    mean, variance = x.mean(axis=0), x.var(axis=0, ddof=1)
    varies = variance > 0
    expected = np.sqrt(10 ** loess(np.log10(mean[varies]), np.log10(variance[varies])))
    z = np.minimum(x[:, varies], mean[varies] + expected * np.sqrt(200)) - mean[varies]
    assert np.allclose(standardised_variance(counts)[varies], ((z / expected) ** 2).sum(axis=0) / 199)
    assert (standardised_variance(counts)[~varies] == 0).all()


def test_median_rank_over_batches(counts):
    batch = np.arange(200) % 3
    found = highly_variable(counts, 20, batch)
    shuffled = np.random.default_rng(1).permutation(200)
    assert np.array_equal(found, highly_variable(counts[shuffled], 20, batch[shuffled]))
    assert len(set(found) & set(range(0, 400, 20))) >= 12  # sixty-odd observations tell less than 200


def test_all_genes_when_there_are_no_more(counts):
    assert np.array_equal(highly_variable(counts, 400, np.zeros(200, int)), np.arange(400))


def test_a_batch_of_one_observation_has_no_say(counts):
    batch = np.zeros(200, int)
    batch[7] = 1
    assert len(highly_variable(counts, 20, batch)) == 20


@pytest.mark.parametrize("batches", [1, 2])
def test_the_choice_is_that_of_scanpy(counts, batches):
    pytest.importorskip("skmisc", reason="scanpy's ranking needs scikit-misc")
    sc = pytest.importorskip("scanpy")
    from anndata import AnnData

    table = AnnData(counts.astype(np.float64))
    table.obs["batch"] = (np.arange(200) % batches).astype(str)
    theirs = sc.pp.highly_variable_genes(
        table, flavor="seurat_v3", n_top_genes=100, batch_key="batch", inplace=False
    )
    ours = highly_variable(counts, 100, np.arange(200) % batches)
    assert len(set(ours) & set(np.flatnonzero(theirs["highly_variable"]))) >= 97
