"""Centring: means agree afterwards, spreads where wanted, and nothing else moves."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from triptych.aligners.center import Center
from triptych.core.errors import DataError, WeightsError


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


def test_new_batches_against_a_loop(uneven, rng):
    x, batch = uneven
    new, of = rng.normal(5.0, 3.0, (40, 4)), rng.permutation(np.repeat([0, 1], [15, 25]))
    pooled = np.sqrt(np.mean([(x[i] - x[batch == batch[i]].mean(axis=0)) ** 2 for i in range(100)], axis=0))
    for scale in (False, True):
        found = Center(scale=scale).fit(x, batch, rng).model.apply(new, of)
        for b in (0, 1):
            own = new[of == b]
            factor = pooled / own.std(axis=0) if scale else 1
            wanted = x.mean(axis=0) + (own - own.mean(axis=0)) * factor
            assert np.allclose(found[of == b], wanted, atol=1e-12)


def test_one_new_row_lands_on_the_mean(uneven, rng):
    x, batch = uneven
    found = Center(scale=True).fit(x, batch, rng).model.apply(np.full((1, 4), 9.0), np.zeros(1, int))
    assert np.allclose(found, x.mean(axis=0))


def test_arrays_that_do_not_belong_together_are_no_model(uneven, rng, tmp_path):
    x, batch = uneven
    model = Center().fit(x, batch, rng).model
    for pooled, words in (
        (model.pooled[:3], r"shape \(3,\), not \(4,\)"),
        (model.pooled * np.nan, "not finite"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(model, pooled=pooled)
    model.save(tmp_path)
    save_file({"grand": model.grand, "pooled": model.pooled[:3]}, tmp_path / "arrays.safetensors")
    with pytest.raises(WeightsError, match="is not a saved FittedCenter"):
        Center().restore(tmp_path)
