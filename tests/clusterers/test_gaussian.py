"""Mixtures of Gaussians."""

import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from triptych.clusterers.gaussian import FittedGaussian, Gaussian
from triptych.core.errors import NumericsError, TriptychWarning


@pytest.mark.parametrize("covariance", ["tied", "full", "diag"])
def test_groups_are_found_by_falling_size(groups, rng, covariance):
    x, truth = groups
    assert np.array_equal(Gaussian(k=3, covariance=covariance, n_init=2).cluster(x, rng), truth)


def test_a_tied_covariance_finds_long_clusters(rng):
    truth = np.repeat([0, 1], [120, 80])
    x = np.stack([rng.normal(0, 2, 200), rng.normal(0, 0.3, 200) + 4 * truth], axis=1)
    assert np.array_equal(Gaussian(k=2).cluster(x, rng), truth)


def test_a_singular_covariance_is_told(rng):
    x = np.zeros((20, 2))
    x[:, 0] = np.repeat([0, 1], 10)
    with pytest.raises(NumericsError, match="a covariance of 2 components in 2 dimensions is singular"):
        Gaussian(k=2, covariance="full", reg=0.0, n_init=1).cluster(x, rng)


def test_a_fit_that_did_not_converge_is_told(rng):
    with pytest.warns(TriptychWarning, match="did not converge in 1 steps. Raise max_iter"):
        Gaussian(k=5, max_iter=1, n_init=1).cluster(rng.normal(size=(300, 3)), rng)


@pytest.mark.parametrize("covariance", ["tied", "full", "diag"])
def test_others_go_to_the_likeliest_component(rng, covariance):
    x = rng.normal(size=(300, 3)) @ [[2, 1, 0], [0, 1, 0], [0, 0, 0.3]] + 3 * np.eye(3)[np.arange(300) % 3]
    value, model = Gaussian(k=3, covariance=covariance, n_init=2, max_iter=2000).fit(x, rng)
    assert np.array_equal(model.apply(x), value)
    assert np.isclose(model.weights.sum(), 1)
    factor = np.eye(3) * model.precisions[:, None] if covariance == "diag" else model.precisions
    spread = np.broadcast_to(np.linalg.inv(factor @ np.swapaxes(factor, -1, -2)), (3, 3, 3))
    others = rng.normal(0, 3, (40, 3))
    density = [
        w * multivariate_normal(m, s).pdf(others)
        for w, m, s in zip(model.weights, model.means, spread, strict=True)
    ]
    assert np.array_equal(model.apply(others), np.argmax(density, axis=0))


@pytest.mark.parametrize("covariance", ["tied", "full", "diag"])
def test_a_component_that_is_no_row_s_likeliest_has_no_code_later(rng, covariance):
    x = rng.normal(size=(60, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TriptychWarning)
        fits = [
            Gaussian(k=6, covariance=covariance, n_init=1, max_iter=5, reg=5.0).fit(
                x, np.random.default_rng(s)
            )
            for s in range(8)
        ]
    assert any(len(model.weights) < 6 for _, model in fits)
    for value, model in fits:
        assert np.array_equal(model.apply(x), value)
        assert set(model.apply(9 * x)) <= set(value)


def test_a_model_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="its arrays do not fit 2 components in 3 dimensions"):
        FittedGaussian(Gaussian(covariance="full"), np.ones(2), np.ones((2, 3)), np.ones((3, 3)))


@pytest.mark.parametrize(
    ("params", "message"), [({"k": 0}, "k, n_init"), ({"max_iter": 0}, "k, n_init"), ({"reg": -1.0}, "reg")]
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(**params)
