"""Windows against naive loops, and the errors at the door."""

from __future__ import annotations

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.maths.windows import (
    MISSING,
    axial,
    neighbour_index,
    point_gaps_at_fill,
    rasterise,
    window_index,
    window_medians,
)


@pytest.fixture
def holed() -> tuple[np.ndarray, np.ndarray]:
    """Two samples on overlapping arrays with holes, shuffled; positions may be negative."""
    rng = np.random.default_rng(3)
    full = np.stack(np.meshgrid(np.arange(-4, 8), np.arange(10)), -1).reshape(-1, 2)
    parts = [full[rng.random(len(full)) < 0.7] for _ in range(2)]
    grid, sample = np.concatenate(parts), np.repeat([7, 2], [len(part) for part in parts])
    order = rng.permutation(len(grid))
    return grid[order], sample[order]


def naive(grid: np.ndarray, sample: np.ndarray, window: int) -> np.ndarray:
    where = {(s, c, r): i for i, (s, (c, r)) in enumerate(zip(sample, grid, strict=True))}
    half = window // 2
    offsets = [(i - half, j - half) for j in range(window) for i in range(window)]
    return np.array(
        [
            [where.get((s, c + i, r + j), MISSING) for i, j in offsets]
            for s, (c, r) in zip(sample, grid, strict=True)
        ]
    )


@pytest.mark.parametrize("window", [1, 3, 5, 7])
def test_index_equals_a_dictionary(holed, window):
    index = neighbour_index(*holed, window)
    assert index.dtype == np.int32
    np.testing.assert_array_equal(index, naive(*holed, window))


def test_windows_end_at_the_border_of_the_array():
    grid = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])
    index = neighbour_index(grid, np.zeros(6, dtype=int), 3)
    np.testing.assert_array_equal(index[2], [-1, -1, -1, 1, 2, -1, 4, 5, -1])


def test_doubles_are_refused():
    grid = np.array([[0, 0], [4, 5], [4, 5]])
    with pytest.raises(DataError, match="rows 1 and 2 at column 4, row 5"):
        neighbour_index(grid, np.zeros(3, dtype=int), 3)
    index = neighbour_index(grid, np.array([0, 0, 1]), 3)  # another section may use the position
    np.testing.assert_array_equal(index[:, 4], [0, 1, 2])


def test_absurd_positions_are_refused():
    grid = np.array([[0, 0], [2**40, 2**40]])
    with pytest.raises(DataError, match="too large"):
        neighbour_index(grid, np.zeros(2, dtype=int), 3)


def test_medians_equal_nanmedian(holed):
    grid, sample = holed
    x = np.random.default_rng(0).random((len(grid), 3)).astype(np.float32)
    index = neighbour_index(grid, sample, 5)
    fill = window_medians(x, index)
    gaps = (index == MISSING).any(axis=1)
    for row in np.flatnonzero(gaps):
        members = np.where(index[row][:, None] == MISSING, np.nan, x[index[row]])
        np.testing.assert_allclose(fill[row], np.nanmedian(members, axis=0), rtol=1e-6)
    assert gaps.any()
    assert (~gaps).sum() == 0 or not fill[~gaps].any()


def test_medians_do_not_depend_on_chunks(holed, monkeypatch):
    x = np.random.default_rng(0).random((len(holed[0]), 3)).astype(np.float32)
    index = neighbour_index(*holed, 5)
    whole = window_medians(x, index)
    monkeypatch.setattr("triptych.maths.windows.CHUNK_VALUES", 200)
    np.testing.assert_array_equal(window_medians(x, index), whole)


def test_gaps_point_below():
    index = np.array([[-1, 0], [0, -1]], dtype=np.int32)
    np.testing.assert_array_equal(point_gaps_at_fill(index), [[2, 0], [0, 3]])


def hexagonal() -> np.ndarray:
    return np.array([(c, r) for r in range(9) for c in range(14) if (c + r) % 2 == 0])


def test_axial_windows_are_dense_where_array_windows_are_half_empty():
    grid = hexagonal()
    places = Places(grid.astype(float), np.zeros(len(grid), dtype=int), grid, "hex")
    centre = int(np.flatnonzero((grid == [6, 4]).all(axis=1))[0])
    assert (window_index(places, 5, "axial")[centre] >= 0).all()
    assert (window_index(places, 5, "array")[centre] >= 0).sum() == 13


def test_axial_neighbours_are_the_six_of_the_array():
    grid = hexagonal()
    places = Places(grid.astype(float), np.zeros(len(grid), dtype=int), grid, "hex")
    centre = int(np.flatnonzero((grid == [6, 4]).all(axis=1))[0])
    near = window_index(places, 3, "axial")[centre]
    steps = {tuple(step) for step in (grid[near] - [6, 4]).tolist()}
    assert {(2, 0), (-2, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)} <= steps


def test_axial_accepts_either_parity_but_not_both():
    grid = hexagonal()
    odd = grid + np.array([1, 0])
    both = np.concatenate([grid, odd])
    points = axial(both, np.repeat([0, 1], len(grid)))
    assert len(np.unique(points[: len(grid)], axis=0)) == len(grid)
    with pytest.raises(DataError, match="not those of a hexagonal array"):
        axial(both, np.zeros(len(both), dtype=int))


def test_square_arrays_are_the_same_under_both_lattices(holed):
    grid, sample = holed
    places = Places(grid.astype(float), sample, grid, "square")
    np.testing.assert_array_equal(window_index(places, 5, "axial"), window_index(places, 5, "array"))


def test_cells_on_a_jittered_lattice_get_its_windows(holed):
    grid, sample = holed
    grid = grid - grid.min(axis=0)
    jitter = np.random.default_rng(1).uniform(-0.02, 0.02, grid.shape)
    places = Places(grid * 10.0 + jitter, sample)
    index = window_index(places, 5)
    same = (index == neighbour_index(grid, sample, 5)).mean()
    assert same > 0.99


def test_of_two_cells_on_one_point_the_nearer_stands_for_it():
    um = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.2], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    sample = np.zeros(7, dtype=int)
    points, occupies = rasterise(um * 10, sample)
    np.testing.assert_array_equal(points[3], points[1])
    np.testing.assert_array_equal(np.flatnonzero(~occupies), [3])
    index = window_index(Places(um * 10, sample), 3)
    assert index[3, 4] == 3  # itself in the middle of its own window
    assert index[0, 5] == 1
    np.testing.assert_array_equal(np.delete(index[3], 4), np.delete(index[1], 4))


def test_cells_on_top_of_each_other_are_refused():
    with pytest.raises(DataError, match="exactly on another"):
        rasterise(np.zeros((4, 2)), np.zeros(4, dtype=int))


def test_a_lone_cell_has_a_window_of_its_own():
    index = window_index(Places(np.array([[5.0, 5.0]]), np.array([0])), 3)
    np.testing.assert_array_equal(index, [[-1, -1, -1, -1, 0, -1, -1, -1, -1]])
