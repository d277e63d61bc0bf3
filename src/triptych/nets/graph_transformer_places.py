"""Neighbourhoods of spots as rows of numbers, and spots in compact clumps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from triptych.core.protocols import Codes, Indices, Matrix, Places

TIED: Final = 1e-6  # share of a distance by which two that are equal may differ


@dataclass(frozen=True, eq=False)
class Around:
    """The neighbourhood of each spot.

    Parameters
    ----------
    index
        Rows of the spots that lie in it, by increasing distance, the spot itself first, shape (n, k).
    um
        Their distances, shape (n, k).
    there
        False where fewer lie in it; ``index`` is then that of the spot itself, shape (n, k).
    """

    index: NDArray[np.int64]
    um: NDArray[np.float32]
    there: NDArray[np.bool_]

    def of(self, rows: Indices) -> tuple[Indices, Around]:
        """Neighbourhoods of some spots.

        Parameters
        ----------
        rows
            Which, shape (b,).

        Returns
        -------
        Rows of all spots that lie in them, ascending, shape (m,); and the neighbourhoods, whose ``index``
        counts among these.
        """
        nodes, index = np.unique(self.index[rows], return_inverse=True)
        return nodes, Around(index.reshape(len(rows), -1), self.um[rows], self.there[rows])


def around(places: Places, count: int, reach_um: float) -> Around:
    """The nearest spots of each within its section.

    Spots at equal distance are taken together, or left out together where they would be too many: which spots
    a neighbourhood holds never depends on their order. On a hexagonal array 18 are two rings, on a square one
    12 are.

    Parameters
    ----------
    places
        Where the n spots lie.
    count
        Neighbours at most, the spot itself not counted.
    reach_um
        No neighbour lies further away.
    """
    n = len(places.um)
    index = np.tile(np.arange(n)[:, None], (1, count + 1))
    um = np.zeros((n, count + 1), np.float32)
    there = np.zeros((n, count + 1), bool)
    there[:, 0] = True
    for rows in _sections(places.sample):
        found, distance = _nearest(places.um[rows], count)
        # without the first one that is too many, and all that lie as far as it
        good = (distance < distance[:, -1:] * (1 - TIED)) & (distance <= reach_um * (1 + TIED))
        good = good[:, : found.shape[1]]
        columns = slice(1, found.shape[1] + 1)
        index[rows, columns] = np.where(good, rows[found], rows[:, None])
        um[rows, columns], there[rows, columns] = np.where(good, distance[:, :-1], 0), good
    return Around(index, um, there)


def _sections(sample: Codes) -> list[Indices]:
    """Row numbers of each section, ascending."""
    order = np.argsort(sample, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(sample[order])) + 1)
    return [rows for rows in parts if len(rows)]


def _nearest(um: Matrix, count: int) -> tuple[Indices, Matrix]:
    """The ``count`` nearest others of one section, (m, k), and the distances of one more, (m, k + 1)."""
    m = len(um)
    k = min(count + 2, m)  # itself, and the first one that is too many
    distance, found = cKDTree(um).query(um, k=np.arange(1, k + 1))
    own = found == np.arange(m)[:, None]
    own[~own.any(axis=1), -1] = True  # many coincide and crowd it out; one of them stands for it
    distance, found = (part[~own].reshape(m, k - 1) for part in (distance, found))
    if k < count + 2:  # nobody is too many
        return found, np.column_stack([distance, np.full(m, np.inf)])
    return found[:, :-1], distance


def clumps(places: Places, rows: Indices, size: int) -> list[Indices]:
    """Spots in compact groups, each of one section, so that their neighbourhoods overlap.

    A section is halved across its longer side, and so are its parts, until each is small enough.

    Parameters
    ----------
    places
        Where the spots lie.
    rows
        Which are grouped, shape (b,).
    size
        Largest group.
    """
    waiting = [rows[part] for part in _sections(places.sample[rows])]
    small: list[Indices] = []
    while waiting:
        part = waiting.pop()
        if len(part) <= size:
            small.append(part)
            continue
        um = places.um[part]
        axis = int(np.argmax(np.ptp(um, axis=0)))
        order = np.lexsort((um[:, 1 - axis], um[:, axis]))
        waiting += [part[order[: len(part) // 2]], part[order[len(part) // 2 :]]]
    return small
