"""Mixtures of Gaussians."""

import numpy as np
import pytest

from triptych.clusterers.gaussian import Gaussian
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


@pytest.mark.parametrize(
    ("params", "message"), [({"k": 0}, "k, n_init"), ({"max_iter": 0}, "k, n_init"), ({"reg": -1.0}, "reg")]
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(**params)
