"""How far two groups lie apart, and how often random labels lie as far: from sums of rows alone.

For Euclidean distances the sums of squares of Anderson (2001, 10.1111/j.1442-9993.2001.01070.pp.x) need no
distances. Of n = a + b rows with squares of total T around their mean, the part between the groups is

    SS_A = |S|² · n / (a·b),    S = Σ (x - mean of all) over the rows of either group,

and T does not change when labels do. So the pseudo-F of a permutation rises with |S| of a random subset of
the rows, of the size of the smaller group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Matrix, Vector

BLOCK: Final = 2**20  # rows × subsets drawn at once, so that a block stays near the core
LEVELS: Final = 256  # of a random byte
JUMPS: Final = 2  # corrections of all subsets at once before the last rows are moved one by one
TRIES: Final = 8  # rows drawn for each of these moves
NEAR: Final = 1e-4  # what single precision cannot rank, relative to |S|: far above its error
TIE: Final = 1e-9  # what double precision cannot: a tie
ROUNDING: Final = 1e-28  # squares below this part of the sum of squares are rounding errors


class Squares(NamedTuple):
    """Sums of squares of two groups of n rows in all.

    Attributes
    ----------
    between, within
        SS_A and SS_W, which add up to SS_T.
    distance
        Between the two centroids, in the units of the columns.
    n
        Rows of both groups.
    """

    between: float
    within: float
    distance: float
    n: int

    @property
    def f(self) -> float:
        """Pseudo-F, SS_A / (SS_W / (n - 2)); infinite where nothing varies within, 0 where nothing does."""
        if self.within > 0:
            return self.between * (self.n - 2) / self.within
        return float("inf") if self.between > 0 else 0.0

    @property
    def r2(self) -> float:
        """SS_A / SS_T; 0 where nothing varies."""
        total = self.between + self.within
        return self.between / total if total > 0 else 0.0


def squares(one: Matrix, other: Matrix) -> Squares:
    """Sums of squares between and within two groups.

    Parameters
    ----------
    one, other
        Their rows, shapes (a, d) and (b, d).
    """
    a, b = len(one), len(other)
    means = one.mean(axis=0), other.mean(axis=0)
    distance = float(np.linalg.norm(means[0] - means[1]))
    between = distance**2 * a * b / (a + b)
    within = _square(one - means[0]) + _square(other - means[1])
    least = ROUNDING * (_square(one) + _square(other))
    kept = [part if part > least else 0.0 for part in (between, within)]
    return Squares(kept[0], kept[1], distance, a + b)


def pvalue(one: Matrix, other: Matrix, permutations: int, rng: np.random.Generator) -> float:
    """Share of labellings, the given one among them, whose pseudo-F is at least that of the given one.

    p = (1 + #{F* ≥ F}) / (1 + permutations). The subsets are uniform and independent; sums are compared in
    single precision, and once more in double precision where that cannot rank them.

    Parameters
    ----------
    one, other
        Rows of the two groups, shapes (a, d) and (b, d).
    permutations
        Random labellings.
    rng
        Draws them.
    """
    n, small = len(one) + len(other), min(len(one), len(other))
    x = np.vstack([one, other])
    least = ROUNDING * _square(x)
    x -= x.mean(axis=0)
    total = _square(x)
    if total <= least:
        return 1.0  # nothing varies, so all labellings are alike
    x /= np.sqrt(total / n)  # rows of norm 1 on average: no overflow in single precision
    observed = float(np.linalg.norm(x[: len(one)].sum(axis=0)))
    # Rows side by side may be alike; in a random order the partial sums of a product stay small.
    x = _narrow(x[rng.permutation(n)])
    single, usual = x.astype(np.float32), observed + np.sqrt(small)
    hits = 0
    for drawn in _blocks(n, small, permutations, rng):
        length = _lengths(drawn @ single)
        near = np.abs(length - observed) <= NEAR * usual
        hits += int((length[~near] > observed).sum())
        if near.any():
            exact = _lengths(drawn[near].astype(np.float64) @ x)
            hits += int((exact >= observed - TIE * usual).sum())
    return (1 + hits) / (1 + permutations)


def subsets(n: int, size: int, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random subsets of equal size, uniform and independent.

    Each row joins a subset with the same chance, near size / n; given how many joined, every set of so many
    is as likely. Then random rows join, or leave, until the size is right. No step tells one row from
    another, so all sets of that size stay equally likely.

    Parameters
    ----------
    n
        Rows to draw from.
    size
        Of each subset, 1 … n - 1.
    count
        Number of subsets.
    rng
        Draws them.

    Returns
    -------
    1 for members and 0 for others, shape (count, n).
    """
    # Eight random bytes at once: a byte each would take longer than all else.
    words = rng.integers(0, 2**64 - 1, -(-count * n // 8), np.uint64, endpoint=True)
    joined = words.view(np.uint8)[: count * n].reshape(count, n) < round(LEVELS * size / n)
    chosen = joined.astype(np.float32)
    for _ in range(JUMPS):
        _jump(chosen, size, rng)
    _settle(chosen, size, rng)
    return chosen


def _jump(chosen: NDArray[np.float32], size: int, rng: np.random.Generator) -> None:
    """Move as many rows as bring each subset to its size on average, not minding repeats."""
    count, n = chosen.shape
    have = _sizes(chosen)
    joins = have < size
    times = np.rint(np.abs(size - have) * n / np.where(joins, n - have, have)).astype(np.int64)
    subset = np.repeat(np.arange(count), times)
    chosen[subset, rng.integers(0, n, len(subset), np.int32)] = np.repeat(joins, times)


def _settle(chosen: NDArray[np.float32], size: int, rng: np.random.Generator) -> None:
    """Move one row at a time in each subset that is not of its size yet."""
    n, lacking = chosen.shape[1], size - _sizes(chosen)
    joins, lacking = (lacking > 0).astype(np.float32), np.abs(lacking)
    while len(subset := np.flatnonzero(lacking)):
        tried = rng.integers(0, n, (TRIES, len(subset)), np.int32)
        moves = chosen[subset, tried] != joins[subset]
        first = moves.argmax(axis=0), np.arange(len(subset))
        moved, row = subset[moves[first]], tried[first][moves[first]]
        chosen[moved, row] = joins[moved]
        lacking[moved] -= 1


def _sizes(chosen: NDArray[np.float32]) -> NDArray[np.int64]:
    """Members of each subset, exact in single precision up to 2²⁴ rows."""
    return (chosen @ np.ones(chosen.shape[1], np.float32)).astype(np.int64)


def _blocks(n: int, size: int, count: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """So many random subsets, some at a time."""
    at_once = max(1, BLOCK // n)
    for start in range(0, count, at_once):
        yield subsets(n, size, min(at_once, count - start), rng)


def _narrow(x: Matrix) -> Matrix:
    """Rows with the same inner products in no more columns than there are rows."""
    return np.asarray(np.linalg.qr(x.T, mode="r")).T if x.shape[1] > len(x) else x


def _lengths(x: Matrix) -> Vector:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", x, x)))


def _square(x: Matrix) -> float:
    return float(np.einsum("ij,ij->", x, x))
