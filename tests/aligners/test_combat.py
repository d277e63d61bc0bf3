"""ComBat agrees with scanpy's, and with its own equations."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from triptych.aligners.combat import Combat
from triptych.core.errors import DataError, NumericsError


def made(seed=0, sizes=(60, 90, 150), d=12):
    rng = np.random.default_rng(seed)
    batch = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    shift, spread = rng.normal(size=(len(sizes), d)), rng.gamma(8, 1 / 8, size=(len(sizes), d))
    return rng.normal(rng.normal(0, 3, d) + shift[batch], np.sqrt(spread[batch])), batch


@pytest.mark.parametrize(
    ("seed", "sizes", "d"), [(0, (60, 90, 150), 12), (1, (100, 200), 40), (2, (500, 30), 20)]
)
def test_agrees_with_scanpy(seed, sizes, d, rng):
    scanpy = pytest.importorskip("scanpy")
    x, batch = made(seed, sizes, d)
    rows = pd.DataFrame(
        {"batch": pd.Categorical(batch.astype(str))}, index=[f"row {i}" for i in range(len(x))]
    )
    table = ad.AnnData(x, obs=rows)
    theirs = scanpy.pp.combat(table, key="batch", inplace=False)
    assert np.abs(Combat().align(x, batch, rng) - theirs).max() < 1e-6


def test_the_estimates_solve_the_equations():
    """The posterior means of shift and scale, written as the paper has them, leave them where they are."""
    from triptych.aligners.moments import moments

    x, batch = made()
    by = moments(x, batch)
    pooled = np.sqrt(by.squares.sum(axis=0) / len(x))
    gamma, delta = Combat()._posterior(by, np.ones(12, bool), pooled)
    z = (x - x.mean(axis=0)) / pooled
    for b in range(3):
        own, n = z[batch == b], (batch == b).sum()
        first, s2 = own.mean(axis=0), own.var(axis=0, ddof=1)
        a, scale = 2 + s2.mean() ** 2 / s2.var(ddof=1), s2.mean() + s2.mean() ** 3 / s2.var(ddof=1)
        weight = n * first.var()
        g = (weight * first + delta[b] * first.mean()) / (weight + delta[b])
        d = (scale + ((own - gamma[b]) ** 2).sum(axis=0) / 2) / (n / 2 + a - 1)
        assert np.allclose(g, gamma[b], atol=1e-6)
        assert np.allclose(d, delta[b], atol=1e-6)


def test_a_column_constant_in_every_batch_becomes_its_mean(rng):
    x, batch = made()
    alone = Combat().align(x, batch, rng)
    found = Combat().align(np.column_stack([x, batch * 3.0]), batch, rng)
    assert np.allclose(found[:, :-1], alone)
    assert np.allclose(found[:, -1], 3.0 * batch.mean())
    flat = Combat().align(np.column_stack([batch, batch]) * 1.0, batch, rng)
    assert np.allclose(flat, batch.mean())


def test_columns_of_one_variance(rng):
    x = np.random.default_rng(3).normal(size=(40, 1))
    batch = np.arange(40) % 2
    assert np.isfinite(Combat().align(np.hstack([x, -x]), batch, rng)).all()


def test_faults(rng):
    with pytest.raises(DataError) as caught:
        Combat().align(np.array([[1.0], [2.0], [np.inf]]), np.array([0, 0, 4]), rng)
    for words in (
        "not finite",
        "one column cannot",
        r"every batch needs 2 rows, but fewer are in batch 4 (1)",
    ):
        assert words in str(caught.value)
    x, batch = made()
    x[batch == 1] = 5.0
    with pytest.raises(DataError, match="the rows of a batch are all alike"):
        Combat().align(x, batch, rng)


def test_no_agreement_in_time_is_told(rng):
    x, batch = made()
    with pytest.raises(NumericsError, match="did not settle in 1 rounds. Raise max_iter"):
        Combat(max_iter=1).align(x, batch, rng)


@pytest.mark.parametrize("params", [{"tol": 0.0}, {"max_iter": 0}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match="tol must be above 0 and max_iter at least 1"):
        Combat(**params)
