"""Silhouettes against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from triptych.maths.silhouette import silhouettes


@pytest.mark.parametrize("block_mb", [1e-6, 0.05, 32])
@pytest.mark.parametrize("offset", [0, 1e5])
def test_equal_to_scikit_learn(rng, block_mb, offset):
    codes = rng.permutation(np.repeat([0, 1, 2, 3], [100, 80, 19, 1]))  # the last is a cluster of one
    x = rng.normal(size=(200, 12)) + codes[:, None] + offset
    found = silhouettes(x, codes, block_mb=block_mb)
    assert np.abs(found - silhouette_samples(x - offset, codes)).max() < 1e-6


def test_points_that_coincide():
    x = np.zeros((6, 2))
    assert np.array_equal(silhouettes(x, np.array([0, 0, 0, 1, 1, 1])), np.zeros(6))


def test_single_precision_is_summed_in_double(rng):
    x, codes = rng.normal(size=(100, 4)).astype(np.float32), np.arange(100) % 3
    assert np.abs(silhouettes(x, codes) - silhouette_samples(x.astype(float), codes)).max() < 1e-6
