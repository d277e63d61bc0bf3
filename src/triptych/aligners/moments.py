"""Means and variances of every column in every batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Codes, Indices, Matrix, Vector


@dataclass(frozen=True, eq=False)
class Moments:
    """Two moments by batch.

    Parameters
    ----------
    of
        Number of the batch of each row, 0 … b - 1, shape (n,).
    size
        Rows of each batch, shape (b,).
    mean
        Shape (b, d).
    squares
        Sum of the squared deviations from the batch's mean, shape (b, d).
    """

    of: Indices
    size: Vector
    mean: Matrix
    squares: Matrix

    @property
    def grand(self) -> Vector:
        """Mean of all rows, shape (d,)."""
        grand: Vector = self.size @ self.mean / self.size.sum()
        return grand


def moments(x: Matrix, batch: Codes) -> Moments:
    """Moments of ``x``, shape (n, d), by ``batch``, shape (n,); in two passes, exact far from the origin."""
    _, of, size = np.unique(batch, return_inverse=True, return_counts=True)
    n = len(of)
    member = sp.csr_matrix((np.ones(n), (of, np.arange(n))), shape=(len(size), n))
    mean = (member @ x) / size[:, None]
    return Moments(of, size.astype(np.float64), mean, member @ (x - mean[of]) ** 2)
