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


def gene_totals(matrix: sp.csr_matrix) -> Vector:
    """Counts of each gene over all observations, shape (g,)."""
    return np.asarray(matrix.sum(axis=0), np.float64).ravel()


def median_total(matrix: sp.csr_matrix) -> float:
    """The median of the totals above zero of the observations.

    Raises
    ------
    DataError
        When no observation has any count.
    """
    totals = _totals(matrix)
    return float(np.median(totals[totals > 0]))


def normalised(matrix: sp.csr_matrix, target_sum: float | None = None) -> sp.csr_matrix:
    """Bring every observation to the same total.

    Parameters
    ----------
    matrix
        CSR of shape (n, g).
    target_sum
        The total; None takes `median_total`.

    Returns
    -------
    CSR of float64; an observation without counts stays zero.

    Raises
    ------
    DataError
        When no observation has any count.
    """
    totals = _totals(matrix)
    target = median_total(matrix) if target_sum is None else target_sum
    factor = np.divide(target, totals, out=np.zeros_like(totals), where=totals > 0)
    data = matrix.data * np.repeat(factor, np.diff(matrix.indptr))
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _totals(matrix: sp.csr_matrix) -> Vector:
    """Counts of each observation, not all zero, shape (n,)."""
    totals = np.asarray(matrix.sum(axis=1), np.float64).ravel()
    if not totals.any():
        raise DataError("No observation has any count of the genes in use.", "Keep more genes.")
    return totals


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


def spread(matrix: sp.csr_matrix, max_value: float) -> tuple[Vector, Vector]:
    """By what to divide each gene, and where to clip it before; two arrays of shape (g,).

    Parameters
    ----------
    matrix
        CSR of shape (n, g).
    max_value
        Where to clip, in standard deviations above the mean; 0 for nowhere.

    Returns
    -------
    Standard deviations, 1 where a gene does not vary, and ceilings in the units of the matrix.
    """
    mean, variance = mean_variance(matrix)
    deviation = np.sqrt(variance)
    deviation[deviation == 0] = 1.0
    return deviation, mean + (max_value or np.inf) * deviation


def scaled(matrix: sp.csr_matrix, deviation: Vector, ceiling: Vector) -> sp.csr_matrix:
    """Divide each gene by its standard deviation, without centring, so that zeros stay zeros.

    A value above the ceiling is brought back to it, which is what clipping centred values does; nothing is
    clipped from below, where counts do not reach.

    Parameters
    ----------
    matrix
        CSR of shape (n, g).
    deviation, ceiling
        From `spread`, of these observations or of those of a fit.
    """
    data = np.minimum(matrix.data.astype(np.float64), ceiling[matrix.indices]) / deviation[matrix.indices]
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
