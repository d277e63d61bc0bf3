"""Neighbourhoods as rows of numbers, and clumps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.protocols import Places
from triptych.nets.graph_transformer_places import around, clumps


def by_loop(places, spot, count, reach):
    """The nearest others, whole shells only."""
    distance = np.linalg.norm(places.um - places.um[spot], axis=1)
    others = [
        j
        for j in np.argsort(distance, kind="stable")
        if j != spot and places.sample[j] == places.sample[spot]
    ]
    limit = distance[others[count]] if len(others) > count else np.inf
    return {j for j in others[:count] if distance[j] < limit * (1 - 1e-6) and distance[j] <= reach}


@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([50.0, 200.0, 5000.0]))
def test_neighbourhoods_are_those_of_a_loop(seed, count, reach):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    um = rng.integers(0, 6, (n, 2)) * 50.0 if seed % 2 else rng.uniform(0, 400, (n, 2))
    places = Places(um, rng.integers(0, 3, n))
    found = around(places, count, reach)
    assert found.index.shape == found.um.shape == found.there.shape == (n, count + 1)
    np.testing.assert_array_equal(found.index[:, 0], np.arange(n))
    assert found.there[:, 0].all()
    for spot in range(n):
        there = found.there[spot, 1:]
        assert set(found.index[spot, 1:][there]) == by_loop(places, spot, count, reach)
        assert (found.index[spot, 1:][~there] == spot).all()
        distance = np.linalg.norm(um[found.index[spot]] - um[spot], axis=1)
        np.testing.assert_allclose(found.um[spot], distance, rtol=1e-6)


def test_a_hexagonal_array_has_two_rings_and_a_square_one_twelve():
    row, column = np.mgrid[:11, :11]
    hexagonal = np.stack([column + row % 2 / 2, row * np.sqrt(3) / 2], -1).reshape(-1, 2) * 100
    square = np.stack([column, row], -1).reshape(-1, 2) * 200.0
    for um, wanted in ((hexagonal, 18), (square, 12)):
        found = around(Places(um, np.zeros(121, int)), 18, 500.0)
        assert found.there[60].sum() - 1 == wanted


def test_many_that_coincide_leave_each_other_out_together():
    found = around(Places(np.zeros((30, 2)), np.zeros(30, int)), 5, 100.0)
    assert (found.there.sum(axis=1) == 1).all()
    few = around(Places(np.zeros((4, 2)), np.zeros(4, int)), 5, 100.0)
    assert (few.there.sum(axis=1) == 4).all()


def test_neighbourhoods_of_some_spots_count_among_what_lies_in_them():
    rng = np.random.default_rng(0)
    found = around(Places(rng.uniform(0, 500, (50, 2)), np.zeros(50, int)), 6, 500.0)
    rows = np.array([40, 3, 7])
    nodes, part = found.of(rows)
    np.testing.assert_array_equal(nodes[part.index], found.index[rows])
    np.testing.assert_array_equal(nodes, np.unique(found.index[rows]))


@pytest.mark.parametrize("size", [1, 7, 500])
def test_clumps_hold_each_row_once_and_keep_to_a_section(size):
    rng = np.random.default_rng(0)
    places = Places(rng.uniform(0, 1000, (200, 2)), rng.integers(0, 3, 200))
    rows = rng.choice(200, 150, replace=False)
    found = clumps(places, rows, size)
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.sort(rows))
    assert max(len(clump) for clump in found) <= size
    assert all(len(np.unique(places.sample[clump])) == 1 for clump in found)


def test_clumps_are_compact():
    rng = np.random.default_rng(0)
    places = Places(rng.uniform(0, 1000, (512, 2)), np.zeros(512, int))
    sides = [np.ptp(places.um[clump], axis=0).max() for clump in clumps(places, np.arange(512), 8)]
    assert np.mean(sides) < 250  # eight of 512 fill a square of 125
