"""What metrics of neighbourhoods share: what they refuse, and who stands around whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Indices, Matrix, Vector
from triptych.maths.neighbours import Neighbours, nearest

VALUES = 2_000_000  # numbers of a block; 16 MB


class OfNeighbourhoods:
    """A metric that looks at the nearest neighbours of each observation: checks, search, then its own value.

    A metric of this kind has a field ``neighbours``, names itself, and defines `value`.
    """

    neighbours: int
    name: ClassVar[str]
    groups: ClassVar[int] = 2  # different codes that it needs
    least: ClassVar[int] = 2  # neighbours that it needs

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


def compositions(
    indices: Indices, codes: Codes, groups: int, weights: Matrix | None = None
) -> Iterator[tuple[slice, Matrix]]:
    """Sum of weights of each group among the neighbours, block by block of rows.

    Parameters
    ----------
    indices
        Row numbers of neighbours, shape (n, k).
    codes
        Group 0 … ``groups`` - 1 of each row, shape (n,).
    groups
        How many there are.
    weights
        Of the neighbours, shape (n, k); 1 each by default.

    Yields
    ------
    Rows, and their sums, shape (b, ``groups``).
    """
    for rows in blocks(len(indices), indices.shape[1] + groups):
        near = codes[indices[rows]]
        cell = near + groups * np.arange(len(near))[:, None]
        flat: Vector | None = None if weights is None else weights[rows].ravel()
        sums = np.bincount(cell.ravel(), flat, minlength=len(near) * groups)
        yield rows, sums.astype(np.float64, copy=False).reshape(-1, groups)


def blocks(n: int, width: int) -> Iterator[slice]:
    """Blocks of rows of about 16 MB each, when a row takes ``width`` numbers."""
    rows = max(1, VALUES // width)
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))
