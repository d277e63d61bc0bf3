"""What metrics of neighbourhoods share: what they refuse, and who stands around whom."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.neighbours import Neighbours, nearest, threads

VALUES = 2**18  # numbers of a block; 2 MB


class OfNeighbourhoods:
    """A metric that looks at the nearest neighbours of each observation: checks, search, then its own value.

    A metric of this kind has a field ``neighbours``, names itself, and defines `value`.
    """

    neighbours: int
    name: ClassVar[str]
    groups: ClassVar[int] = 2  # different codes that it needs
    least: ClassVar[int] = 2  # neighbours that it needs
    mixing: ClassVar[bool] = False  # whether the best space ignores the codes: shuffled ones are its ceiling

    def __post_init__(self) -> None:
        if not self.neighbours >= self.least:
            raise ValueError(f"neighbours must be {self.least} or more")

    def value(self, found: Neighbours, codes: Codes) -> float:
        """Score exactly as many neighbours as are looked at, all checked."""
        raise NotImplementedError

    def score(self, truth: Matrix, guess: Codes) -> float:
        """Find the neighbours and score them.

        Parameters
        ----------
        truth
            The space, shape (n, d).
        guess
            Labels or batches, shape (n,).

        Raises
        ------
        DataError
            When there are too few observations or codes, or values are missing or not finite.
        """
        check_space(self.name, truth, guess, neighbours=self.neighbours, groups=self.groups)
        return self.score_neighbours(nearest(truth, self.neighbours), guess)

    def score_neighbours(self, found: Neighbours, codes: Codes) -> float:
        """Score neighbours found before, for callers with several metrics.

        Parameters
        ----------
        found
            At least ``neighbours`` of each of n observations.
        codes
            Labels or batches, shape (n,).

        Raises
        ------
        DataError
            When there are too few neighbours or codes, or codes are missing.
        """
        looked_at = check_neighbours(self.name, found, codes, neighbours=self.neighbours, groups=self.groups)
        return self.value(looked_at, codes)


def check_space(metric: str, space: Matrix, codes: Codes, *, neighbours: int = 1, groups: int = 2) -> None:
    """Refuse a space and codes that cannot be scored.

    Parameters
    ----------
    metric
        Its name, to open the message.
    space
        Shape (n, d).
    codes
        Labels or batches, shape (n,).
    neighbours
        How many the metric looks at, the observation itself counted.
    groups
        How many different codes it needs.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults, n = Faults(metric), len(space)
    faults.check(space.ndim == 2, f"the space has shape {space.shape}; it needs (n, d).")
    faults.check(bool(np.isfinite(space).all()), "some values are not finite. Leave those rows out.")
    faults.check(
        n >= neighbours,
        f"it looks at {neighbours} neighbours, each observation counting itself, and there are {n} "
        "observations. Lower neighbours.",
    )
    _check_codes(faults, n, codes, groups)
    faults.raise_if_any()


def check_neighbours(
    metric: str, found: Neighbours, codes: Codes, *, neighbours: int, groups: int = 2
) -> Neighbours:
    """Refuse neighbours and codes that cannot be scored; return as many neighbours as are looked at.

    Parameters
    ----------
    metric
        Its name, to open the message.
    found
        Of n observations, at least ``neighbours`` of each.
    codes
        Labels or batches, shape (n,).
    neighbours
        How many the metric looks at, the observation itself counted.
    groups
        How many different codes it needs.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(metric)
    faults.check(
        found.k >= neighbours,
        f"it looks at {neighbours} neighbours and {found.k} were found. Find more, or lower neighbours.",
    )
    _check_codes(faults, len(found), codes, groups)
    faults.raise_if_any()
    return found.subset(neighbours)


def _check_codes(faults: Faults, n: int, codes: Codes, groups: int) -> None:
    missing, different = int((codes < 0).sum()), len(np.unique(codes[codes >= 0]))
    faults.check(n == len(codes), f"{n} rows but {len(codes)} codes.")
    faults.check(missing == 0, f"{missing} codes are missing. Leave those rows out.")
    faults.check(
        different >= groups, f"it needs {groups} different codes at least and there is {different or 'none'}."
    )


def compositions(near: Codes, groups: int, weights: Matrix | None = None) -> Matrix:
    """Sum of weights of each group among the neighbours.

    Parameters
    ----------
    near
        Group 0 … ``groups`` - 1 of each neighbour, shape (b, k).
    groups
        How many there are.
    weights
        Of the neighbours, shape (b, k); 1 each by default.

    Returns
    -------
    Shape (b, ``groups``).
    """
    cell = near + groups * np.arange(len(near))[:, None]
    flat: Vector | None = None if weights is None else weights.ravel()
    sums = np.bincount(cell.ravel(), flat, minlength=len(near) * groups)
    return sums.astype(np.float64, copy=False).reshape(-1, groups)


def narrow(codes: Codes) -> tuple[Codes, Codes]:
    """Codes 0 … B - 1 in as few bytes as hold them, shape (n,), and the size of each group, shape (B,)."""
    _, codes, size = np.unique(codes, return_inverse=True, return_counts=True)
    return codes.astype(np.min_scalar_type(len(size))), size  # gathered once per neighbour: bytes count


def each_block(n: int, width: int, fill: Callable[[slice], None]) -> None:
    """Call ``fill`` on blocks of rows, in as many threads as OpenMP has.

    The blocks do not depend on the number of threads, and so neither do the bits.

    Parameters
    ----------
    n
        Rows in all.
    width
        Numbers that a row takes.
    fill
        Computes some rows and writes them to a place of their own.
    """
    rows = max(1, VALUES // width)
    blocks = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
    if len(blocks) == 1:
        return fill(blocks[0])
    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(fill, blocks):
            pass
    return None
