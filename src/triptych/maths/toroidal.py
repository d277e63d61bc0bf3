"""Do two smooth maps agree by more than chance? One is shifted against the other on a torus.

Neighbouring observations are alike. Shuffling them one by one destroys what makes two unrelated maps agree
by chance, and so finds associations everywhere; a shift keeps each map as it is and breaks only their tie
(Lotwick and Silverman 1982, 10.1111/j.2517-6161.1982.tb01221.x), and where it is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Indices, Matrix, Places
from triptych.maths.correlations import unit_columns, varying
from triptych.maths.seams import bins, kept_variance
from triptych.maths.threads import threads_for

LEAST: Final = 0.25  # of the observations must have a partner, else a shift is not drawn
WIDEST: Final = 256  # positions of an array for each observation, beyond which it is no array
CONSTANT: Final = 1e-12  # square of a column's norm after a shift below which nothing of it is left
TIE: Final = 1e-12  # what double precision cannot tell apart
FEWEST: Final = 19  # shifts in which a map still varies that a p-value needs


class Shift(NamedTuple):
    """One shift.

    Attributes
    ----------
    here
        Rows that have a partner, shape (m,).
    there
        The row whose value each of them gets, shape (m,).
    """

    here: Indices
    there: Indices


class Null(NamedTuple):
    """What shifts say of every pair.

    Attributes
    ----------
    pvalue
        Two-sided, shape (t, t): of the row's variable as it is and the column's shifted.
    shifts
        How many were drawn.
    partners
        Share of the observations that had a partner, on average.
    """

    pvalue: Matrix
    shifts: int
    partners: float


def on_array(places: Places) -> bool:
    """Whether the observations of a section stand on a regular array."""
    if places.grid is None:
        return False
    positions = np.prod(places.grid.max(axis=0) - places.grid.min(axis=0) + 1.0)
    return bool(positions <= WIDEST * max(len(places.grid), 64))


def shifts(places: Places, count: int, rng: np.random.Generator, *, within_um: float) -> Iterator[Shift]:
    """Random shifts of one section on the torus of its bounding rectangle.

    On a regular array whole positions are shifted, each shift at most once; else coordinates, and each
    observation gets the value of the one that then lies nearest.

    Parameters
    ----------
    places
        Of the n observations of one section.
    count
        How many are wanted; there are fewer where the array is small or scattered.
    rng
        Draws them.
    within_um
        Farthest partner where coordinates are shifted, in µm.
    """
    if places.grid is None or not on_array(places):
        return _of_coordinates(places.um, count, rng, within_um=within_um)
    at = places.grid - places.grid.min(axis=0)
    # Every other column of a hexagonal array is used: with an even height and width that still holds after
    # wrapping.
    even = 2 if places.lattice == "hex" else 1
    wide, high = (int(-(-(most + 1) // even) * even) for most in at.max(axis=0))
    return _of_array(at, (wide, high), count, rng)


def _of_array(at: Indices, shape: tuple[int, int], count: int, rng: np.random.Generator) -> Iterator[Shift]:
    n, row = len(at), np.full(shape, -1)
    row[at[:, 0], at[:, 1]] = np.arange(n)
    filled = np.fft.rfft2(row >= 0)
    partners = np.fft.irfft2(np.abs(filled) ** 2, shape).round()  # of every shift at once
    partners[0, 0] = 0
    possible = np.flatnonzero(partners >= LEAST * n)
    for step in rng.choice(possible, min(count, len(possible)), replace=False):
        moved = (at + np.unravel_index(step, shape)) % shape
        there = row[moved[:, 0], moved[:, 1]]
        here = np.flatnonzero(there >= 0)
        yield Shift(here, there[here])


def _of_coordinates(um: Matrix, count: int, rng: np.random.Generator, *, within_um: float) -> Iterator[Shift]:
    from scipy.spatial import cKDTree

    low, n = um.min(axis=0), len(um)
    extent = um.max(axis=0) - low
    tree, period = cKDTree(um), np.where(extent > 0, extent, 1.0)
    for share in rng.uniform(size=(count, 2)):
        moved = low + (um - low + share * extent) % period
        there = tree.query(moved, distance_upper_bound=within_um)[1]
        here = np.flatnonzero(there < n)
        if len(here) >= LEAST * n:
            yield Shift(here, there[here])


def null(places: Places, x: Matrix, w: sp.csr_matrix, drawn: Iterator[Shift]) -> Null:
    """How often shifted maps agree at least as much, two-sided, for all pairs at once.

    p = (1 + #{abs(R*) ≥ √part abs(R)}) / (1 + shifts), with R* = Σ_j (Wz)_j y*_j, one dense product a shift.
    The shifted map y* has mean 0 and norm 1 over the observations that have a partner, and is 0 elsewhere, so
    that R* varies like R although fewer take part, but for the part that `kept_variance` gives.

    Parameters
    ----------
    places
        Of the n observations of one section.
    x
        Variables, shape (n, t).
    w
        Weights, symmetric, CSR of shape (n, n).
    drawn
        Shifts.
    """
    z, known = unit_columns(x), varying(x)
    smooth = np.asarray(w @ z)
    hits, valid = np.zeros((x.shape[1], x.shape[1]), np.int64), np.zeros(x.shape[1], np.int64)
    count, partners = 0, 0
    with threads_for(len(x)):
        part = kept_variance(bins(places, array=on_array(places)), smooth, z)
        reached = np.abs(smooth.T @ z) * np.sqrt(part) * (1 - TIE)
        for shift in drawn:
            r, varies = _agreement(smooth, z, shift)
            hits += (np.abs(r) >= reached) & varies
            valid, count, partners = valid + varies, count + 1, partners + len(shift.here)
    pvalue = np.where((valid >= FEWEST) & known & known[:, None], (1 + hits) / (1 + valid), np.nan)
    return Null(pvalue, count, partners / (max(count, 1) * len(x)))


def _agreement(smooth: Matrix, z: Matrix, shift: Shift) -> tuple[Matrix, NDArray[np.bool_]]:
    """R* of all pairs, and which maps still vary among the partners."""
    y = z[shift.there]
    v = smooth if len(y) == len(z) else smooth[shift.here]
    mean = y.mean(axis=0)
    square = np.einsum("ij,ij->j", y, y) - len(y) * mean**2
    varies = square > CONSTANT
    scale = np.divide(1.0, np.sqrt(np.where(varies, square, 1.0)), where=varies, out=np.zeros_like(square))
    return (v.T @ y - np.outer(v.sum(axis=0), mean)) * scale, varies
