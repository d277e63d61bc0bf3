"""Counts per observation and gene, kept sparse: normalising, logarithm, scaling."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.protocols import Indices, Vector


def checked(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """The counts with each value stored once, or a refusal of values that no count can have.

    Parameters
    ----------
    matrix
        CSR of shape (n, g); it is not written to.

    Raises
    ------
    DataError
        When the matrix is empty, or values are negative or not finite; all faults together.
    """
    faults = Faults("counts")
    n, g = matrix.shape
    faults.check(n > 0 and g > 0, f"the matrix is empty: {n} observations × {g} genes.")
    faults.check(bool(np.isfinite(matrix.data).all()), "some values are not finite.")
    faults.check(not bool((matrix.data < 0).any()), "some values are negative.")
    faults.raise_if_any(hint="Pass the raw counts, not normalised or scaled values.")
    if matrix.has_canonical_format:
        return matrix
    matrix = matrix.copy()
    matrix.sum_duplicates()
    return matrix


def detected_in(matrix: sp.csr_matrix) -> Indices:
    """In how many observations each gene is seen, shape (g,); stored zeros do not count."""
    return np.bincount(matrix.indices[matrix.data != 0], minlength=matrix.shape[1])


def normalised(matrix: sp.csr_matrix, target_sum: float | None = None) -> sp.csr_matrix:
    """Bring every observation to the same total.

    Parameters
    ----------
    matrix
        CSR of shape (n, g).
    target_sum
        The total; None takes the median of the totals above zero.

    Returns
    -------
    CSR of float64; an observation without counts stays zero.

    Raises
    ------
    DataError
        When no observation has any count.
    """
    totals = np.asarray(matrix.sum(axis=1), np.float64).ravel()
    if not totals.any():
        raise DataError("No observation has any count of the genes in use.", "Keep more genes.")
    target = float(np.median(totals[totals > 0])) if target_sum is None else target_sum
    factor = np.divide(target, totals, out=np.zeros_like(totals), where=totals > 0)
    data = matrix.data * np.repeat(factor, np.diff(matrix.indptr))
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def logged(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """log(1 + x) of every value; zeros stay unstored."""
    data = np.log1p(matrix.data.astype(np.float64))
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def mean_variance(matrix: sp.csr_matrix) -> tuple[Vector, Vector]:
    """Mean and unbiased variance of each column, two arrays of shape (g,).

    The deviations are summed rather than the squares, so that a large mean costs no digits.
    """
    n, g = matrix.shape
    data = matrix.data.astype(np.float64)
    mean = np.bincount(matrix.indices, data, g) / n
    stored = np.bincount(matrix.indices, minlength=g)
    deviation = np.bincount(matrix.indices, (data - mean[matrix.indices]) ** 2, g)
    return mean, (deviation + (n - stored) * mean**2) / max(n - 1, 1)


def scaled(matrix: sp.csr_matrix, max_value: float) -> sp.csr_matrix:
    """Divide each gene by its standard deviation, without centring, so that zeros stay zeros.

    A value further than ``max_value`` standard deviations above the mean is brought back to there, which
    is what clipping centred values does; nothing is clipped from below, where counts do not reach.

    Parameters
    ----------
    matrix
        CSR of shape (n, g).
    max_value
        In standard deviations; 0 leaves every value.
    """
    mean, variance = mean_variance(matrix)
    deviation = np.sqrt(variance)
    deviation[deviation == 0] = 1.0
    data = matrix.data.astype(np.float64)
    if max_value > 0:
        data = np.minimum(data, (mean + max_value * deviation)[matrix.indices])
    data = data / deviation[matrix.indices]
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
