"""Principal components of counts, stage by stage, against dense arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA

from triptych.core.errors import DataError, TriptychWarning
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


SWITCHES = [
    {},
    {"hvg": 20},
    {"min_spots": 40},
    {"hvg": 15, "min_spots": 20, "scale": True},
    {"scale": True, "max_value": 1.5},
    {"scale": True, "max_value": 0.0},
    {"normalise": False},
    {"log": False, "target_sum": 1e4},
    {"normalise": False, "log": False, "scale": True},
]


@pytest.mark.parametrize("params", SWITCHES)
def test_the_model_gives_the_training_rows_what_the_fit_gave(dense, rng, params):
    counts = as_counts(dense, np.arange(90) % 2)
    value, model = Pca(components=4, **params).fit(counts, rng)
    assert np.abs(model.apply(counts) - value).max() < 1e-8


@pytest.mark.parametrize("params", SWITCHES)
def test_others_change_nothing_that_was_learned(dense, rng, params):
    """Each row of another study gets the same place alone, with all, and with a monstrous neighbour."""
    model = Pca(components=4, **params).fit(as_counts(dense[:60]), rng).model
    found = model.apply(as_counts(dense[60:]))
    assert np.allclose(model.apply(as_counts(dense[60:61])), found[:1], atol=1e-10)
    assert np.allclose(
        model.apply(as_counts(np.vstack([dense[60:], 999 + dense[:1]])))[:-1], found, atol=1e-10
    )


def test_others_are_projected_by_the_numbers_of_the_fit(dense, rng):
    train, test = dense[:60], dense[60:]
    goal = np.median(train.sum(axis=1))
    one, other = (np.log1p(x / x.sum(axis=1, keepdims=True) * goal) for x in (train, test))
    mean, deviation = one.mean(axis=0), one.std(axis=0, ddof=1)
    z, new = (np.minimum((x - mean) / deviation, 1.5) for x in (one, other))
    known = PCA(5, svd_solver="full").fit(z)
    model = Pca(components=5, scale=True, max_value=1.5).fit(as_counts(train), rng).model
    assert np.abs(np.abs(model.apply(as_counts(test))) - np.abs(known.transform(new))).max() < 1e-6


def test_missing_genes_add_nothing_and_the_depth_is_kept(dense, rng):
    """As if the missing genes stood at the mean of the fit and the others at their depth of the fit."""
    model = Pca(components=4).fit(as_counts(dense), rng).model
    order = np.argsort(np.square(model.loadings).sum(axis=1))
    there = np.sort(order[5:])
    counts = as_counts(dense)
    part = Counts(counts.matrix[:, there], counts.genes[there], counts.batch)
    with pytest.warns(
        TriptychWarning, match="pca: 5 of 60 genes .* of the squared loadings. They are taken at"
    ):
        found = model.apply(part)
    x, totals = dense[:, there], dense.sum(axis=0)
    goal = np.median(dense.sum(axis=1)) * totals[there].sum() / totals.sum()
    filled = np.tile(lognormalised(dense).mean(axis=0), (90, 1))
    filled[:, there] = np.log1p(x / x.sum(axis=1, keepdims=True) * goal)
    expected = (filled - lognormalised(dense).mean(axis=0)) @ model.loadings
    assert np.allclose(found, expected, atol=1e-8)


def test_missing_genes_that_carry_most_of_it_are_refused(dense, rng):
    model = Pca(components=2).fit(as_counts(dense), rng).model
    there = np.sort(np.argsort(np.square(model.loadings).sum(axis=1))[:40])
    counts = as_counts(dense)
    with pytest.raises(
        DataError, match="pca: 20 of 60 genes of the fit are missing .* squared loadings; at most"
    ):
        model.apply(Counts(counts.matrix[:, there], counts.genes[there], counts.batch))


def test_a_section_without_any_count_of_the_genes_is_told(dense, rng):
    model = Pca(components=2).fit(as_counts(dense), rng).model
    with pytest.raises(DataError, match="No observation has any count of the genes in use"):
        model.apply(as_counts(0 * dense))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.ones(3)}, "its arrays do not fit 60 genes and 2 components"),
        ({"loadings": np.ones((60, 3))}, "its arrays do not fit 60 genes and 2 components"),
        ({"deviation": np.ones(60)}, "deviation and ceiling go together"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(dense, rng, change, message):
    model = Pca(components=2).fit(as_counts(dense), rng).model
    with pytest.raises(ValueError, match=message):
        replace(model, **change)


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
