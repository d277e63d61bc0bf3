"""Scanorama is called as its authors would, on rows of unit norm, and leaves no trace."""

import subprocess
import sys

import numpy as np
import pytest

from triptych.aligners.scanorama import Scanorama
from triptych.core.errors import DataError, MissingExtraError, NumericsError, TriptychWarning

pytest.importorskip("scanorama", reason="the extra align is not installed")


@pytest.fixture
def shifted(rng):
    """Three groups in two batches, the second of them twice as large and moved."""
    group, batch = rng.integers(0, 3, 300), rng.permutation(np.repeat([4, 7], [100, 200]))
    x = rng.normal(0, 0.3, (300, 6)) + 4 * np.eye(6)[group]
    x[batch == 7] += np.array([0, 0, 0, 2.0, 1, 0])
    return x, group, batch


def gap(x, group, batch):
    centre = [[x[(group == g) & (batch == b)].mean(axis=0) for b in (4, 7)] for g in range(3)]
    return np.mean([np.linalg.norm(one - other) for one, other in centre])


def test_the_batch_goes_and_the_groups_stay(shifted, rng):
    x, group, batch = shifted
    found = Scanorama().align(x, batch, rng)
    assert gap(found, group, batch) < 0.25 * gap(x, group, batch)
    centres = np.stack([found[group == g].mean(axis=0) for g in range(3)])
    assert min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 3


def test_agrees_with_the_library(shifted, rng):
    import scanorama

    x, _, batch = shifted
    norm = np.sqrt((x**2).sum(axis=1).mean())
    one, other = scanorama.assemble(
        [x[batch == 4] / norm, x[batch == 7] / norm], knn=20, sigma=15, approx=False, alpha=0.1, verbose=0
    )
    found = Scanorama().align(x, batch, rng)
    assert np.allclose(found[batch == 4], one * norm)
    assert np.allclose(found[batch == 7], other * norm)


def test_the_unit_of_the_view_does_not_matter(shifted, rng):
    x, _, batch = shifted
    assert np.allclose(Scanorama().align(x * 1000, batch, rng), 1000 * Scanorama().align(x, batch, rng))


def test_nothing_is_said(shifted, rng, capfd):
    x, _, batch = shifted
    Scanorama().align(x, batch, rng)
    assert capfd.readouterr() == ("", "")


def test_importing_it_leaves_the_global_generators_alone():
    code = """
import random, numpy as np
np.random.set_state(np.random.RandomState(5).get_state()); random.seed(5)
before = np.random.get_state()[1].copy(), random.getstate()
from triptych.aligners.scanorama import Scanorama
x = np.random.default_rng(0).normal(size=(80, 3))
Scanorama().align(x, np.arange(80) % 2, np.random.default_rng(0))
raise SystemExit(not ((before[0] == np.random.get_state()[1]).all() and before[1] == random.getstate()))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_batch_that_matches_no_other_is_told_and_stays(rng):
    x = np.vstack(
        [rng.normal(0, 0.1, (120, 3)) + centre for centre in (np.eye(3)[0], np.eye(3)[0], -np.eye(3)[0])]
    )
    batch = np.arange(120 * 3) % 2
    batch[240:] = 2
    with pytest.warns(TriptychWarning, match="batches 2 match no other"):
        found = Scanorama(knn=2, alpha=0.7).align(x, batch, rng)
    assert np.allclose(found[batch == 2], x[batch == 2])


def test_mapping_is_the_library_adding_one_batch(shifted, rng):
    """Two batches of which the first is the larger: the library, too, moves only the second."""
    import scanorama

    x, _, batch = shifted
    reference, new = x[batch == 7], x[batch == 4]
    model = Scanorama().fit(reference, np.zeros(200, int), rng).model
    norm = np.sqrt((reference**2).sum(axis=1).mean())
    still, moved = scanorama.assemble(
        [reference / norm, new / norm], knn=20, sigma=15, approx=False, verbose=0
    )
    assert np.allclose(still * norm, reference)
    assert np.allclose(model.apply(new, np.zeros(100, int)), moved * norm, atol=1e-5)


def test_mapping_against_a_loop(shifted, rng):
    x, _, batch = shifted
    reference, model = Scanorama(knn=5, sigma=2.0).fit(x, batch, rng)
    new = x[:80] + rng.normal(0, 0.5, 6)
    found = model.apply(new, np.zeros(80, int))
    norm = np.sqrt((x**2).sum(axis=1).mean())
    one, other = ([row / np.linalg.norm(row) for row in rows] for rows in (new, reference))
    far = np.array([[np.abs(a - b).sum() for b in other] for a in one])
    pairs = [
        (i, j) for i in range(80) for j in range(300)
        if (far[i] < far[i, j]).sum() < 5 and (far[:, j] < far[i, j]).sum() < 5
    ]  # fmt: skip
    for i in range(80):
        weight = [np.exp(-(((new[i] - new[a]) / norm) ** 2).sum()) for a, _ in pairs]
        wanted = new[i] + np.average([reference[b] - new[a] for a, b in pairs], axis=0, weights=weight)
        assert np.allclose(found[i], wanted, atol=1e-5)


def test_a_new_batch_that_matches_nothing_is_told_and_stays(shifted, rng):
    x, _, _ = shifted
    model = Scanorama(knn=2, alpha=0.7).fit(x, np.zeros(300, int), rng).model
    new = rng.normal(0, 0.1, (240, 6)) - np.eye(6)[5]
    new[:120] = x[:120] + rng.normal(0, 0.01, (120, 6))
    with pytest.warns(TriptychWarning, match="new batches 1 do not match the fit at alpha 0.7"):
        found = model.apply(new, np.repeat([0, 1], 120))
    assert np.array_equal(found[120:], new[120:])
    assert not np.array_equal(found[:120], new[:120])


def test_mapping_in_parts_is_mapping_at_once(shifted, rng, monkeypatch):
    x, _, batch = shifted
    model = Scanorama().fit(x, batch, rng).model
    new = np.vstack([x[:60] + 0.5, np.full((1, 6), -1e6)])  # the last row is far from every match, and stays
    whole = model.apply(new, np.zeros(61, int))
    monkeypatch.setattr("triptych.aligners.scanorama_fitted.PART", 7)
    assert np.allclose(model.apply(new, np.zeros(61, int)), whole)
    assert not np.allclose(whole[:60], new[:60])
    assert np.array_equal(whole[60], new[60])


def test_giving_up_is_an_error(shifted, rng, monkeypatch):
    import scanorama

    x, _, batch = shifted
    monkeypatch.setattr(scanorama, "assemble", lambda parts, **_: [np.asmatrix(part) for part in parts])
    with pytest.raises(NumericsError, match="smoothing failed. Lower sigma"):
        Scanorama().align(x, batch, rng)


def test_faults(rng, monkeypatch):
    with pytest.raises(DataError) as caught:
        Scanorama().align(np.full((30, 2), np.nan), np.repeat([0, 1], [25, 5]), rng)
    assert "not finite" in str(caught.value)
    assert "every batch needs 20 rows, but fewer are in batch 1 (5). Lower knn" in str(caught.value)
    model = Scanorama().fit(rng.normal(size=(60, 2)), np.zeros(60, int), rng).model
    with pytest.raises(DataError, match=r"fewer are in batch 1 \(5\). Lower knn"):
        model.apply(np.ones((30, 2)), np.repeat([0, 1], [25, 5]))
    monkeypatch.setitem(sys.modules, "scanorama", None)
    assert model.apply(rng.normal(size=(60, 2)), np.zeros(60, int)).shape == (
        60,
        2,
    )  # mapping needs no library
    with pytest.raises(MissingExtraError, match=r"pip install 'triptych\[align\]'"):
        Scanorama().align(rng.normal(size=(60, 2)), np.arange(60) % 2, rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"sigma": 0.0}, "sigma"), ({"knn": 0}, "knn"), ({"alpha": 1.0}, "alpha"), ({"alpha": -0.1}, "alpha")],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Scanorama(**params)
