"""Harmony mixes batches, keeps what is not the batch, and repeats itself."""

import random

import numpy as np
import pandas as pd
import pytest

from triptych.aligners.harmony import Harmony
from triptych.core.errors import DataError


@pytest.fixture
def shifted(rng):
    """Three groups, two batches, one shift."""
    group, batch = np.arange(300) % 3, np.arange(300) % 2
    x = rng.normal(0, 0.3, (300, 6)) + 4 * np.eye(6)[group]
    x[batch == 1] += np.array([0, 0, 0, 2.0, 1, 0])
    return x, group, batch


def gap(x, group, batch):
    """Mean distance between the batches' centres within a group."""
    centre = [[x[(group == g) & (batch == b)].mean(axis=0) for b in (0, 1)] for g in range(3)]
    return np.mean([np.linalg.norm(one - other) for one, other in centre])


def test_the_batch_goes_and_the_groups_stay(shifted, rng):
    x, group, batch = shifted
    found = Harmony().align(x, batch, rng)
    assert gap(found, group, batch) < 0.25 * gap(x, group, batch)
    centres = np.stack([found[group == g].mean(axis=0) for g in range(3)])
    assert min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 3


@pytest.mark.parametrize("lamb", [None, 0.3])
def test_mapping_against_a_regression_in_each_cluster(lamb, shifted, rng):
    """The reference and the new rows together, in every cluster a weighted ridge with a free intercept."""
    x, _, batch = shifted
    reference, model = Harmony(lamb=lamb, clusters=5).fit(x, batch, rng)
    new = x[:60] + rng.normal(0, 0.3, 6)
    found = model.apply(new, np.zeros(60, int))

    z = new / np.linalg.norm(new, axis=1, keepdims=True)
    centroid = model.sums / np.linalg.norm(model.sums, axis=1, keepdims=True)
    r = np.exp(-np.array([[((a - b) ** 2).sum() for b in centroid] for a in z]) / 0.1)
    r /= r.sum(axis=1, keepdims=True)
    wanted = new.copy()
    for k in range(len(model.mass)):
        # One row at the mean stands for the reference: it has its weight and its weighted sum.
        rows = np.vstack([model.sums[k] / model.mass[k], new])
        weight = np.concatenate([[model.mass[k]], r[:, k]])
        design = np.column_stack([np.ones(61), np.arange(61) > 0])
        normal = design.T @ (weight[:, None] * design) + np.diag([0, lamb or 1.0])
        effect = np.linalg.solve(normal, design.T @ (weight[:, None] * rows))[1]
        wanted -= r[:, [k]] * effect
    assert np.allclose(found, wanted, atol=1e-9)
    assert np.allclose(model.mass.sum(), 300, atol=1e-3)
    assert np.allclose(model.sums.sum(axis=0), reference.sum(axis=0), rtol=1e-3)


def test_rows_of_the_fit_hardly_move(shifted, rng):
    x, _, batch = shifted
    reference, model = Harmony().fit(x, batch, rng)
    assert np.abs(model.apply(reference, np.zeros(300, int)) - reference).max() < 0.1


def test_a_fit_of_one_batch_groups_it(shifted, rng):
    x, group, batch = shifted
    value, model = Harmony(clusters=3).fit(x[batch == 0], np.zeros(150, int), rng)
    assert value is not None
    assert np.allclose(value, x[batch == 0])
    assert np.allclose(np.sort(model.mass), 50, atol=1)
    found = model.apply(x[batch == 1], np.zeros(150, int))
    both = np.vstack([value, found])
    group = np.concatenate([group[batch == 0], group[batch == 1]])
    assert gap(both, group, np.repeat([0, 1], 150)) < 0.1 * gap(x, np.arange(300) % 3, batch)


@pytest.mark.parametrize("rows", [np.ones((1, 2)), np.ones((5, 3)), np.array([[1.0], [-1.0]]), np.eye(2)])
def test_a_fit_of_one_batch_takes_few_rows(rows, rng):
    for clusters in (0, 1):
        model = Harmony(clusters=clusters).fit(rows, np.zeros(len(rows), int), rng).model
        assert np.isfinite(model.apply(rows + 0.5, np.zeros(len(rows), int))).all()


def test_as_many_columns_as_rows(rng):
    x, batch = rng.normal(size=(40, 40)), np.arange(40) % 2
    wider = np.hstack([x, np.zeros((40, 1))])  # a column of zeros changes nothing but the shape
    square, rectangular = (Harmony().align(v, batch, np.random.default_rng(0)) for v in (x, wider))
    assert np.allclose(square, rectangular[:, :40], atol=1e-5)


def test_seed_decides_and_global_generators_are_left_alone(shifted):
    x, _, batch = shifted
    random.seed(1)
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, same, other = (Harmony(clusters=10).align(x, batch, np.random.default_rng(s)) for s in (0, 0, 1))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def test_nothing_is_said_and_threads_do_not_matter(shifted, rng, capfd):
    import harmonypy

    x, _, batch = shifted
    found = Harmony().align(x, batch, np.random.default_rng(5))
    seed = int(np.random.default_rng(5).integers(2**31 - 1))
    two = harmonypy.run_harmony(
        x.T, pd.DataFrame({"b": batch}), "b", nclust=10, random_state=seed, ncores=2, verbose=False
    )
    assert np.array_equal(found, two.Z_corr)
    assert capfd.readouterr() == ("", "")


def test_all_faults_are_told_together(rng):
    x = rng.normal(size=(6, 2))
    x[0], x[1] = np.nan, 0
    with pytest.raises(DataError) as caught:
        Harmony().align(x, np.array([0, 1, -1, 0, 1, 1]), rng)
    for words in ("values are not finite", "some rows have no batch", "1 rows are all zero"):
        assert words in str(caught.value)
    model = Harmony().fit(np.ones((6, 2)), np.zeros(6, int), rng).model
    with pytest.raises(DataError, match="harmony: 2 rows are all zero"):
        model.apply(np.zeros((2, 2)), np.zeros(2, int))
    with pytest.raises(DataError, match="2 rows are too few"):
        Harmony().align(rng.normal(size=(2, 3)), np.array([0, 1]), rng)
    with pytest.raises(DataError, match="6 rows but 5 batch codes"):
        Harmony().align(np.ones((6, 2)), np.zeros(5, int), rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"theta": -1.0}, "theta"),
        ({"sigma": 0.0}, "sigma"),
        ({"lamb": 0.0}, "lamb must be above 0"),
        ({"max_iter": 0}, "max_iter"),
        ({"clusters": -1}, "clusters"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Harmony(**params)
