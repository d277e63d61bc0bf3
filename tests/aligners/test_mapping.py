"""A batch never seen comes to the reference, and its groups stay apart; no label is ever looked at."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.aligners import registry
from triptych.aligners.mapping import each_batch, need_shapes


@pytest.fixture
def study(rng):
    """Three groups in three batches, each batch moved its own way."""
    group, batch = np.arange(450) % 3, np.arange(450) // 3 % 3
    x = rng.normal(0, 0.3, (450, 8)) + 4 * np.eye(8)[group]
    return (
        x + np.array([[0] * 8, [0, 0, 0, 1.5, 1, 0, 0, 0], [0, 0, 0, -1, 0, 1.5, 1, 0]])[batch],
        group,
        batch,
    )


def gap(one, other):
    """Mean distance between the centres of a group in two batches, each a pair of rows and groups."""
    centres = [[x[group == g].mean(axis=0) for g in np.unique(group)] for x, group in (one, other)]
    return np.linalg.norm(np.subtract(*centres), axis=1).mean()


def apart(x, group):
    """Least distance between the centres of two groups."""
    centres = np.stack([x[group == g].mean(axis=0) for g in np.unique(group)])
    far = np.linalg.norm(centres[:, None] - centres, axis=2)
    return far[far > 0].min()


@pytest.mark.parametrize("name", ["center", "combat", "harmony", "scanorama"])
@pytest.mark.parametrize("fitted", [(0, 1), (0,)])
def test_the_new_batch_comes_and_its_groups_stay(name, fitted, study, rng):
    if name == "scanorama":
        pytest.importorskip("scanorama", reason="the extra align is not installed")
    x, group, batch = study
    old, new = np.isin(batch, fitted), batch == 2
    value, model = registry.make(name).fit(x[old], batch[old], rng)
    found = model.apply(x[new], np.zeros(new.sum(), int))
    before = gap((value, group[old]), (x[new], group[new]))
    assert gap((value, group[old]), (found, group[new])) < 0.4 * before
    assert apart(found, group[new]) > 0.8 * apart(x[new], group[new])


@pytest.mark.parametrize("name", ["harmony", "scanorama"])
def test_a_group_that_the_new_batch_lacks_does_no_harm(name, study, rng):
    """Where centring would move the two groups that there are towards the mean of three."""
    if name == "scanorama":
        pytest.importorskip("scanorama", reason="the extra align is not installed")
    x, group, batch = study
    old, new = batch < 2, (batch == 2) & (group > 0)
    value, model = registry.make(name).fit(x[old], batch[old], rng)
    found, kept = model.apply(x[new], np.zeros(new.sum(), int)), old & (group > 0)
    value = value[group[old] > 0]
    before = gap((value, group[kept]), (x[new], group[new]))
    assert gap((value, group[kept]), (found, group[new])) < 0.4 * before


def test_scvi_ignores_in_a_new_batch_what_it_learned_to_ignore(rng):
    """Ten genes carry the batch; and their factor in the new batch is that of neither batch of the fit."""
    pytest.importorskip("scvi", reason="the extra align is not installed")
    group, batch = np.arange(450) % 3, np.arange(450) // 3 % 3
    rates = rng.gamma(2.0, 2.0, (3, 40))[group]
    rates[:, :10] *= np.array([1.0, 4.0, 6.0])[batch][:, None]
    x, old = rng.poisson(rates), batch < 2
    scvi = registry.make("scvi", {"latent": 4, "hidden": 32, "epochs": 60})
    value, model = scvi.fit(sp.csr_matrix(x[old]), batch[old], rng)
    found = model.apply(sp.csr_matrix(x[~old]), np.zeros(150, int))
    logged = np.log1p(x)

    def share(one, other):
        return gap((one, group[old]), (other, group[~old])) / apart(other, group[~old])

    assert share(value, found) < 0.4 * share(logged[old], logged[~old])


def test_each_batch_is_given_alone_and_put_back(rng):
    x, batch = rng.normal(size=(9, 2)), np.array([5, 0, 5, 2, 2, 5, 0, 0, 5])
    seen = []
    found = each_batch(x, batch, lambda rows: seen.append(rows) or rows - rows[0])
    assert [len(rows) for rows in seen] == [3, 2, 4]
    for i in range(9):
        assert np.array_equal(found[i], x[i] - x[np.flatnonzero(batch == batch[i])[0]])


def test_shapes():
    need_shapes((np.ones(2), (2,)), (np.ones((2, 3)), (2, 3)))
    with pytest.raises(ValueError, match=r"shape \(2,\), not \(3,\)"):
        need_shapes((np.ones(2), (3,)))
    with pytest.raises(ValueError, match="not finite"):
        need_shapes((np.full(2, np.inf), (2,)))
