"""ComBat agrees with scanpy's, and with its own equations."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from triptych.aligners.combat import Combat
from triptych.aligners.combat_estimates import Settling, effects, posterior, priors
from triptych.aligners.moments import moments
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
    x, batch = made()
    by = moments(x, batch)
    pooled = np.sqrt(by.squares.sum(axis=0) / len(x))
    observed = effects(by, by.grand, np.ones(12, bool), pooled)
    gamma, delta = posterior(by.size[:, None], *observed, priors(*observed), Settling(1e-8, 1000))
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


def test_a_new_batch_solves_the_equations_with_the_prior_of_the_fit(rng):
    """Written as in the paper, column by column, the prior from all batches and columns."""
    x, batch = made(sizes=(60, 90))
    model = Combat().fit(x, batch, rng).model
    new = rng.normal(1.0, 2.0, (70, 12))
    found = model.apply(new, np.zeros(70, int))

    grand = x.mean(axis=0)
    pooled = np.sqrt(
        sum(((x[batch == b] - x[batch == b].mean(axis=0)) ** 2).sum(axis=0) for b in (0, 1)) / 150
    )
    old = [(x[batch == b] - grand) / pooled for b in (0, 1)]
    first, s2 = np.ravel([z.mean(axis=0) for z in old]), np.ravel([z.var(axis=0, ddof=1) for z in old])
    a, scale = 2 + s2.mean() ** 2 / s2.var(ddof=1), s2.mean() + s2.mean() ** 3 / s2.var(ddof=1)
    for j in range(12):
        z = (new[:, j] - grand[j]) / pooled[j]
        g, d, weight = z.mean(), z.var(ddof=1), 70 * first.var()
        for _ in range(200):
            g = (weight * z.mean() + d * first.mean()) / (weight + d)
            d = (scale + ((z - g) ** 2).sum() / 2) / (35 + a - 1)
        assert np.allclose(found[:, j], grand[j] + (z - g) / np.sqrt(d) * pooled[j], atol=1e-6)


def test_a_model_of_one_batch_takes_the_prior_of_the_new_one(rng):
    """Then the effects are measured from the fit, and shrunk among themselves, as those of a fit are."""
    x, _ = made(sizes=(300,))
    model = Combat().fit(x, np.zeros(300, int), rng).model
    assert model.prior is None
    new = rng.normal(1.0, 2.0, (70, 12))
    found = model.apply(new, np.zeros(70, int))
    observed = effects(moments(new, np.zeros(70, int)), x.mean(axis=0), np.ones(12, bool), x.std(axis=0))
    g, d = posterior(np.array([[70.0]]), *observed, priors(*observed), Settling(1e-8, 1000))
    assert np.allclose(
        found, x.mean(axis=0) + ((new - x.mean(axis=0)) / x.std(axis=0) - g) / np.sqrt(d) * x.std(axis=0)
    )


def test_a_column_constant_in_the_fit_becomes_its_mean_there(rng):
    x, batch = made()
    model = Combat().fit(np.column_stack([x, batch * 3.0]), batch, rng).model
    found = model.apply(rng.normal(size=(30, 13)), np.zeros(30, int))
    assert np.allclose(found[:, -1], 3.0 * batch.mean())
    assert np.isfinite(found).all()


def test_new_batches_that_cannot_be_measured_are_refused(rng):
    x, batch = made()
    model = Combat().fit(x, batch, rng).model
    with pytest.raises(DataError, match=r"every batch needs 2 rows, but fewer are in batch 1 \(1\)"):
        model.apply(x[:4], np.array([0, 0, 0, 1]))
    with pytest.raises(DataError, match="the rows of a batch are all alike"):
        model.apply(np.ones((4, 12)), np.zeros(4, int))
