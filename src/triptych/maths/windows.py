"""Windows of neighbours on a lattice: who stands where, and what fills the gaps.

A window of side w around each observation is an (n, w²) table of row numbers; the features
themselves are never copied w² times.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Indices, Matrix, Places

Mask: TypeAlias = NDArray[np.bool_]
MISSING = -1
CHUNK_VALUES = 4_000_000  # values of a chunk of windows while medians are taken; 16 MB of float32


def window_index(places: Places, window: int, lattice: str = "array") -> NDArray[np.int32]:
    """Rows of the neighbours in a window around each observation, whatever the kind of places.

    Parameters
    ----------
    places
        n observations.
    window
        Side of the window, odd.
    lattice
        ``array`` takes array positions as they are; ``axial`` turns those of a hexagonal array
        into axial coordinates first. Places without a grid are rasterised, see `rasterise`.

    Returns
    -------
        Row numbers, shape (n, w²), row by row from the lowest; -1 where nobody stands.

    Raises
    ------
    DataError
        When two spots of one sample share a position, or hexagonal positions are not staggered.
    """
    if places.grid is None:
        points, occupies = rasterise(places.um, places.sample)
        return neighbour_index(points, places.sample, window, occupies=occupies)
    hexagonal = lattice == "axial" and places.lattice == "hex"
    grid = axial(places.grid, places.sample) if hexagonal else places.grid
    return neighbour_index(grid, places.sample, window)


def neighbour_index(
    grid: Indices, sample: Codes, window: int, *, occupies: Mask | None = None
) -> NDArray[np.int32]:
    """Rows of the neighbours in a square window around each observation.

    Parameters
    ----------
    grid
        Position (column, row) on a lattice, shape (n, 2).
    sample
        Code of the section, shape (n,); windows end at its border.
    window
        Side w of the window, odd.
    occupies
        Which observations stand on their lattice point, shape (n,); by default all. Any other sees the
        same neighbours as the one who does, and itself in the middle.

    Returns
    -------
        Row numbers, shape (n, w²); -1 where nobody stands. Entry (j + w/2)·w + (i + w/2) is the
        neighbour at column + i and row + j.

    Raises
    ------
    DataError
        When two observations of one sample occupy one point.
    """
    half = window // 2
    keys, width = _keys(grid, sample, half)
    rows = np.arange(len(keys)) if occupies is None else np.flatnonzero(occupies)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    taken = keys[rows]
    _refuse_duplicates(taken, rows, grid)
    order = np.argsort(keys, kind="stable")  # sorted queries make the search run through memory in order
    index = np.full((len(keys), window * window), MISSING, dtype=np.int32)
    if not len(taken):
        return index
    for entry, (j, i) in enumerate(np.ndindex(window, window)):
        wanted = keys[order] + (j - half) * width + (i - half)
        at = np.minimum(np.searchsorted(taken, wanted), len(taken) - 1)
        index[order, entry] = np.where(taken[at] == wanted, rows[at], MISSING)
    index[:, window * window // 2] = np.arange(len(keys))
    return index


def _keys(grid: Indices, sample: Codes, margin: int) -> tuple[NDArray[np.int64], int]:
    """One integer per (sample, row, column), with a margin so that offsets never reach the next line."""
    codes = np.unique(sample, return_inverse=True)[1].astype(np.int64)
    if not len(codes):
        return codes, 1
    column, row = (np.asarray(grid, dtype=np.int64) - np.min(grid, axis=0).astype(np.int64)).T + margin
    width, height = int(column.max()) + margin + 1, int(row.max()) + margin + 1
    if width * height * (int(codes.max()) + 1) >= 2**62:
        raise DataError(f"The lattice of {width} × {height} points is too large.", "Are the positions right?")
    return (codes * height + row) * width + column, width


def _refuse_duplicates(taken: NDArray[np.int64], rows: NDArray[np.int64], grid: Indices) -> None:
    again = np.flatnonzero(taken[1:] == taken[:-1])
    if not len(again):
        return
    first, second = rows[again[0]], rows[again[0] + 1]
    column, row = np.asarray(grid)[first]
    raise DataError(
        f"{len(again)} spots share an array position with another of their sample, "
        f"e.g. rows {first} and {second} at column {column}, row {row}.",
        "Give each section its own sample name, or drop the doubles.",
    )


def axial(grid: Indices, sample: Codes) -> NDArray[np.int64]:
    """Axial coordinates of a hexagonal array whose columns are used alternately (Visium).

    With (column c, row r) and c + r of one parity per sample, q = ⌊(c − r)/2⌋ and r number the same spots
    without gaps, so that a window is a dense rhombus.

    Parameters
    ----------
    grid
        Position (column, row), shape (n, 2).
    sample
        Code of the section, shape (n,).

    Raises
    ------
    DataError
        When a sample uses both parities.
    """
    column, row = np.asarray(grid, dtype=np.int64).T
    parity = (column + row) % 2
    codes = np.unique(sample, return_inverse=True)[1]
    odd, total = np.bincount(codes, parity), np.bincount(codes)
    if np.any((odd > 0) & (odd < total)):
        raise DataError(
            "The array positions are not those of a hexagonal array: column + row is even for some spots "
            "and odd for others of one sample.",
            "Use lattice: array.",
        )
    return np.column_stack([(column - row) // 2, row])


def rasterise(um: Matrix, sample: Codes) -> tuple[NDArray[np.int64], Mask]:
    """Put cells on a square lattice whose side is the median distance to the nearest neighbour.

    Parameters
    ----------
    um
        x and y, shape (n, 2).
    sample
        Code of the section, shape (n,).

    Returns
    -------
        Lattice point (column, row) of each cell, shape (n, 2), and whether the cell is the nearest to it
        among those that round to it, shape (n,).

    Raises
    ------
    DataError
        When most cells lie on top of each other.
    """
    side = _median_gap(um, sample)
    scaled = (um - um.min(axis=0)) / side
    points = np.rint(scaled).astype(np.int64)
    offset = np.square(scaled - points).sum(axis=1)
    keys, _ = _keys(points, sample, 0)
    order = np.lexsort((offset, keys))
    first = np.ones(len(keys), dtype=np.bool_)
    first[1:] = keys[order][1:] != keys[order][:-1]
    occupies = np.zeros(len(keys), dtype=np.bool_)
    occupies[order[first]] = True
    return points, occupies


def _median_gap(um: Matrix, sample: Codes) -> float:
    """Median over all cells of the distance to the nearest of the same sample."""
    gaps = []
    for code in np.unique(sample):  # sections are few
        here = um[sample == code]
        if len(here) > 1:
            gaps.append(cKDTree(here).query(here, k=2)[0][:, 1])
    side = float(np.median(np.concatenate(gaps))) if gaps else 1.0
    if side <= 0:
        raise DataError(
            "More than half of the observations lie exactly on another one.", "Check obsm:spatial_um."
        )
    return side


def window_medians(x: NDArray[np.float32], index: NDArray[np.int32]) -> NDArray[np.float32]:
    """Median of each dimension over the members present in each window: what fills the gaps.

    Parameters
    ----------
    x
        Features, shape (n, d).
    index
        From `neighbour_index`, shape (n, w²).

    Returns
    -------
        Medians, shape (n, d), the mean of the two middle ones for even numbers; rows whose window has no
        gap need none and are left at zero.
    """
    fill = np.zeros_like(x)
    gappy = np.flatnonzero((index == MISSING).any(axis=1))
    step = max(1, CHUNK_VALUES // max(1, index.shape[1] * x.shape[1]))
    for start in range(0, len(gappy), step):
        rows = gappy[start : start + step]
        fill[rows] = _medians(x, index[rows])
    return fill


def _medians(x: NDArray[np.float32], index: NDArray[np.int32]) -> NDArray[Any]:
    absent = index == MISSING
    values = np.moveaxis(x[index], 1, 2).copy()  # (rows, d, w²): sorting runs along memory
    np.copyto(values, np.float32(np.inf), where=absent[:, None, :])
    values.sort(axis=2)
    count = (~absent).sum(axis=1)[:, None, None]
    lower = np.take_along_axis(values, (count - 1) // 2, axis=2)
    upper = np.take_along_axis(values, count // 2, axis=2)
    return ((lower + upper) / 2)[:, :, 0]


def point_gaps_at_fill(index: NDArray[np.int32]) -> NDArray[np.int32]:
    """Send the gaps of row i to row n + i, where its medians lie when they are stacked below the features."""
    rows = np.arange(len(index), dtype=np.int32)[:, None]
    return np.where(index == MISSING, len(index) + rows, index).astype(np.int32)
