"""Centring: means agree afterwards, spreads where wanted, and nothing else moves."""

import numpy as np
import pytest

from triptych.aligners.center import Center
from triptych.core.errors import DataError


@pytest.fixture
def uneven(rng):
    batch = rng.permutation(np.repeat([2, 5, 9], [20, 30, 50]))
    x = rng.normal(size=(100, 4)) * (1 + batch[:, None]) + batch[:, None] ** 2
    return x, batch


def test_against_a_loop(uneven, rng):
    x, batch = uneven
    for scale in (False, True):
        wanted = x.copy()
        pooled = np.sqrt(
            np.mean([(x[i] - x[batch == batch[i]].mean(axis=0)) ** 2 for i in range(100)], axis=0)
        )
        for b in set(batch):
            own = x[batch == b]
            factor = pooled / own.std(axis=0) if scale else 1
            wanted[batch == b] = x.mean(axis=0) + (own - own.mean(axis=0)) * factor
        assert np.allclose(Center(scale=scale).align(x, batch, rng), wanted, atol=1e-12)


def test_a_column_constant_in_a_batch_stays_constant_there(uneven, rng):
    x, batch = uneven
    x[batch == 5, 2] = 7.0
    found = Center(scale=True).align(x, batch, rng)
    assert np.allclose(found[batch == 5, 2], x[:, 2].mean())


def test_a_far_origin_does_no_harm(uneven, rng):
    x, batch = uneven
    near, far = (Center(scale=True).align(v, batch, rng) for v in (x, x + 1e8))
    assert np.allclose(near, far - 1e8, atol=1e-5)


def test_counts_are_refused(rng):
    import scipy.sparse as sp

    with pytest.raises(DataError, match="center: it takes a dense view"):
        Center().align(sp.csr_matrix(np.eye(4)), np.arange(4) % 2, rng)


def test_all_faults_are_told_together(rng):
    x = np.ones((4, 2))
    x[0] = np.nan
    with pytest.raises(DataError) as caught:
        Center().align(x, np.array([0, 1, -1]), rng)
    for words in ("values are not finite", "some rows have no batch", "4 rows but 3 batch codes"):
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"the view has shape \(0, 2\)"):
        Center().align(np.ones((0, 2)), np.zeros(0, int), rng)
