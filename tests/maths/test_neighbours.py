"""Nearest neighbours against a double loop, and what a search refuses."""

import sys

import numpy as np
import pytest

from triptych.core.errors import DataError, MissingExtraError
from triptych.maths import neighbours
from triptych.maths.neighbours import Neighbours, nearest


def by_loops(x, k):
    """Row numbers and distances, the row itself first, ties by row number."""
    indices, distances = [], []
    for i, row in enumerate(x):
        others = sorted(
            (float(np.sqrt(((row - other) ** 2).sum())), j) for j, other in enumerate(x) if j != i
        )
        nearby = [(0.0, i), *others][:k]
        indices.append([j for _, j in nearby])
        distances.append([d for d, _ in nearby])
    return np.array(indices), np.array(distances)


@pytest.mark.parametrize("d", [1, 2, 8, 9, 30])
@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_loops(rng, d, offset, dtype, monkeypatch):
    monkeypatch.setattr(neighbours, "ROWS", 37)
    x = (rng.integers(0, 4000, (130, d)) + offset).astype(dtype)
    found, (indices, distances) = nearest(x, 12), by_loops(x.astype(float), 12)
    assert np.allclose(found.distances, distances, rtol=1e-9, atol=1e-9)
    # at the last distance any of several may be taken
    settled = distances < distances[:, -1:]
    assert np.array_equal(found.indices[settled], indices[settled])


@pytest.mark.parametrize("d", [2, 20])
def test_itself_comes_first_among_rows_that_coincide(rng, d):
    x = np.repeat(rng.normal(size=(7, d)), 9, axis=0)
    found = nearest(x, 5)
    assert np.array_equal(found.indices[:, 0], np.arange(63))
    assert np.array_equal(found.distances, np.zeros((63, 5)))
    assert all(len(set(row)) == 5 for row in found.indices.tolist())
    assert np.array_equal(found.indices // 9, np.repeat(np.arange(63) // 9, 5).reshape(63, 5))


@pytest.mark.parametrize("d", [3, 12])
def test_threads_do_not_change_a_bit(rng, d, monkeypatch):
    x, found = rng.normal(size=(3000, d)), []
    for threads in (1, 3):
        monkeypatch.setattr(neighbours, "threads", lambda threads=threads: threads)
        found.append(nearest(x, 15))
    assert found[0].indices.tobytes() == found[1].indices.tobytes()
    assert found[0].distances.tobytes() == found[1].distances.tobytes()


def test_subset_equals_a_smaller_search(rng):
    x = rng.normal(size=(200, 10))
    some, few = nearest(x, 20).subset(6), nearest(x, 6)
    assert (some.k, len(some)) == (6, 200)
    assert np.array_equal(some.indices, few.indices)
    assert np.array_equal(some.distances, few.distances)


@pytest.mark.parametrize("k", [0, 4])
def test_more_than_were_found(k):
    found = Neighbours(np.zeros((5, 3), np.int32), np.zeros((5, 3)))
    with pytest.raises(DataError, match=f"{k} neighbours are wanted and 3 were found"):
        found.subset(k)


def test_all_faults_are_told_together():
    with pytest.raises(DataError) as caught:
        nearest(np.array([[0.0], [np.nan]]), 3)
    for words in ("3 neighbours are wanted among 2 rows", "some values are not finite"):
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"the space has shape \(4,\)"):
        nearest(np.zeros(4), 1)


def test_approximate_needs_rng_and_pynndescent(rng, monkeypatch):
    x = rng.normal(size=(50, 10))
    with pytest.raises(ValueError, match="an approximate search needs rng"):
        nearest(x, 5, approximate=True)
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(MissingExtraError, match="pynndescent is not installed"):
        nearest(x, 5, approximate=True, rng=rng)


@pytest.mark.slow
def test_approximate_finds_nearly_all(rng):
    pytest.importorskip("pynndescent", reason="pynndescent is not installed")
    x = rng.normal(size=(2000, 12))
    exact = nearest(x, 15)
    found = nearest(x, 15, approximate=True, rng=rng)
    hits = [len(set(a) & set(b)) for a, b in zip(exact.indices.tolist(), found.indices.tolist(), strict=True)]
    assert np.mean(hits) > 0.9 * 15
    assert np.array_equal(found.indices[:, 0], np.arange(2000))
