"""Silhouettes against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples
from threadpoolctl import threadpool_limits

from triptych.maths import silhouette
from triptych.maths.silhouette import silhouettes


@pytest.mark.parametrize("block_mb", [1e-6, 0.05, 32])
@pytest.mark.parametrize("offset", [0, 1e5])
def test_equal_to_scikit_learn(rng, block_mb, offset):
    codes = rng.permutation(np.repeat([0, 1, 2, 3], [100, 80, 19, 1]))  # the last is a cluster of one
    x = rng.normal(size=(200, 12)) + codes[:, None] + offset
    found = silhouettes(x, codes, block_mb=block_mb)
    assert np.abs(found - silhouette_samples(x - offset, codes)).max() < 1e-6


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 13), (64, 100), (256, 1024)])
def test_tiles_may_cut_clusters_anywhere(rng, monkeypatch, rows, columns):
    monkeypatch.setattr(silhouette, "ROWS", rows)
    monkeypatch.setattr(silhouette, "COLUMNS", columns)
    codes = rng.permutation(np.repeat([0, 1, 2, 3, 4], [150, 100, 1, 13, 36]))
    x = rng.normal(size=(300, 3)) + codes[:, None]
    assert np.abs(silhouettes(x, codes) - silhouette_samples(x, codes)).max() < 1e-9


def test_tight_clusters_far_apart_keep_their_digits(rng):
    codes = np.arange(2000) % 5
    x = 1e3 * rng.normal(size=(5, 32))[codes] + rng.normal(size=(2000, 32)) + 1e4
    one, other = silhouettes(x, codes), silhouette_samples(x, codes, metric="euclidean")
    assert np.abs(one - other).max() < 1e-6


def test_bits_do_not_depend_on_the_number_of_threads(rng):
    x, codes = rng.normal(size=(3000, 8)), rng.integers(0, 6, 3000)
    found = []
    for count in (1, 2, 3):
        with threadpool_limits(count, user_api="openmp"):
            found.append(silhouettes(x, codes).tobytes())
    assert len(set(found)) == 1


def test_points_that_coincide():
    x = np.zeros((6, 2))
    assert np.array_equal(silhouettes(x, np.array([0, 0, 0, 1, 1, 1])), np.zeros(6))


def test_single_precision_is_summed_in_double(rng):
    x, codes = rng.normal(size=(100, 4)).astype(np.float32), np.arange(100) % 3
    assert np.abs(silhouettes(x, codes) - silhouette_samples(x.astype(float), codes)).max() < 1e-6
