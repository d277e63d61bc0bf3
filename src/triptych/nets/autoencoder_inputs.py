"""What autoencoders are fed: views side by side, standardised a batch at a time, never as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Array, Matrix, Vector

PART = 4096  # rows made dense at once


@dataclass(frozen=True, eq=False)
class Inputs:
    """Rows on demand: min(max((x − mean) / deviation, −clip), clip) · factor, in single precision.

    Parameters
    ----------
    views
        Each of shape (n, d), dense or CSR.
    mean, deviation
        Of each column of all views, shape (sum of d,); deviation 0 marks one that is constant.
    factor
        What multiplies each column after that, shape (sum of d,).
    clip
        Largest size of a standardised value; 0 for no limit.
    """

    views: tuple[Array, ...]
    mean: Vector
    deviation: Vector
    factor: Vector
    clip: float

    def __len__(self) -> int:
        return int(self.views[0].shape[0])

    @property
    def columns(self) -> int:
        """Sum of d."""
        return len(self.mean)

    def take(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Some rows.

        Parameters
        ----------
        rows
            Their numbers, shape (b,).

        Returns
        -------
        Shape (b, sum of d); 0 where a column was constant.
        """
        x = beside(self.views, rows)
        flat = self.deviation == 0
        x -= self.mean
        x /= np.where(flat, 1.0, self.deviation)
        if self.clip:
            np.clip(x, -self.clip, self.clip, out=x)
        x *= np.where(flat, 0.0, self.factor)
        return x.astype(np.float32)


def beside(views: Sequence[Array], rows: NDArray[np.int64] | slice) -> Matrix:
    """Some rows of all views, dense and side by side; a copy of its own."""
    parts = [sp.csr_matrix(view[rows]).toarray() if sp.issparse(view) else view[rows] for view in views]
    return np.hstack([np.asarray(part, np.float64) for part in parts])


def moments(views: Sequence[Array]) -> tuple[Vector, Vector]:
    """Mean and deviation of each column of views side by side.

    Two passes over parts of the rows: the mean first, so that a large one costs the deviation no digits.

    Parameters
    ----------
    views
        Each of shape (n, d), dense or CSR.

    Returns
    -------
    Two arrays of shape (sum of d,); deviation 0 marks a column that is constant.
    """
    n = views[0].shape[0]
    mean = np.sum([part.sum(axis=0) for part in _parts(views)], axis=0) / n
    square = np.sum([((part - mean) ** 2).sum(axis=0) for part in _parts(views)], axis=0) / n
    largest = np.max([np.abs(part).max(axis=0) for part in _parts(views)], axis=0)
    deviation = np.sqrt(square)
    # Rounding leaves a constant column a deviation of about 1e-16 of its size.
    return mean, np.where(deviation <= 1e-12 * largest, 0.0, deviation)


def unit_scale(variance: Vector, weight: Vector) -> Vector:
    """Factors proportional to the weights of the columns that give the inputs a mean ‖x‖²/d of 1.

    Parameters
    ----------
    variance
        Of each column before it is multiplied, shape (d,).
    weight
        Of each column, shape (d,).
    """
    total = float((weight**2 * variance).sum())
    return np.asarray(weight * np.sqrt(len(weight) / total if total else 0.0))


def scaled(
    views: Sequence[Array], mean: Vector, deviation: Vector, *, weight: Vector, standardise: bool, clip: float
) -> Inputs:
    """Inputs of mean 0, with a mean ‖x‖²/d of 1.

    Parameters
    ----------
    views
        Each of shape (n, d), dense or CSR.
    mean, deviation
        From `moments`.
    weight
        Of each column, shape (sum of d,).
    standardise
        Whether to bring each column to variance 1; if not, nothing is clipped.
    clip
        Largest size of a standardised value; 0 for no limit.
    """
    varies = (deviation > 0).astype(np.float64)
    factor = unit_scale(varies if standardise else deviation**2, weight)
    divisor = deviation if standardise else varies
    return Inputs(tuple(views), mean, divisor, factor, clip if standardise else 0.0)


def _parts(views: Sequence[Array]) -> Iterator[Matrix]:
    for start in range(0, views[0].shape[0], PART):
        yield beside(views, slice(start, start + PART))
