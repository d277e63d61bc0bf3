"""Highly variable genes: which genes vary more than their mean count explains."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Codes, Indices, Matrix, Vector
from triptych.maths.counts import mean_variance

SPAN = 0.3  # share of the genes that each local fit sees
KNOTS = 100  # local fits along the mean, twice; a cubic joins them


def highly_variable(matrix: sp.csr_matrix, count: int, batch: Codes) -> Indices:
    """Column numbers of the most variable genes, ascending.

    In each batch the log variance is regressed on the log mean, counts are standardised with the expected
    deviation and clipped at √n, and genes are ranked by the variance that remains. Genes are then taken by
    the median of their ranks over the batches in which they are among the best ``count``, ties by the number
    of those batches, then by their order in the table (Stuart et al. 2019, the "vst" choice of Seurat 3).

    Parameters
    ----------
    matrix
        Raw counts, CSR of shape (n, g).
    count
        How many; all when there are no more.
    batch
        Shape (n,).
    """
    g = matrix.shape[1]
    if count >= g:
        return np.arange(g)
    ranks = np.array([_ranks(matrix[batch == code]) for code in np.unique(batch)], dtype=np.float64)
    ranks[ranks >= count] = np.nan
    batches = np.isfinite(ranks).sum(axis=0)
    median = np.full(g, np.inf)
    median[batches > 0] = np.nanmedian(ranks[:, batches > 0], axis=0)
    return np.sort(np.lexsort((-batches, median))[:count])


def _ranks(matrix: sp.csr_matrix) -> Indices:
    """Rank of each gene within one batch, 0 for the most variable, shape (g,)."""
    order = np.argsort(-standardised_variance(matrix), kind="stable")
    ranks = np.empty(len(order), np.intp)
    ranks[order] = np.arange(len(order))
    return ranks


def standardised_variance(matrix: sp.csr_matrix) -> Vector:
    """Variance of clipped z-scores with the deviation that the mean predicts, shape (g,).

    Parameters
    ----------
    matrix
        Raw counts of one batch, CSR of shape (n, g).
    """
    n, g = matrix.shape
    mean, variance = mean_variance(matrix)
    varies = variance > 0
    found = np.zeros(g)
    if n < 2 or not varies.any():
        return found
    fitted = loess(np.log10(mean[varies]), np.log10(variance[varies]))
    expected = np.ones(g)
    expected[varies] = np.sqrt(10.0**fitted)
    ceiling = (mean + expected * np.sqrt(n))[matrix.indices]
    z = np.minimum(matrix.data, ceiling) - mean[matrix.indices]
    stored = np.bincount(matrix.indices, minlength=g)
    squares = np.bincount(matrix.indices, z**2, g) + (n - stored) * mean**2
    found[varies] = (squares / expected**2 / (n - 1))[varies]
    return found


def loess(x: Vector, y: Vector, *, span: float = SPAN, knots: int = KNOTS) -> Vector:
    """Local quadratic regression with tricube weights (Cleveland 1979), evaluated at ``x``.

    The fit and its slope are computed at knots over the quantiles and the range of ``x`` and joined by a
    cubic Hermite spline, so that the cost does not grow with the square of the number of points.

    Parameters
    ----------
    x
        Shape (m,).
    y
        Shape (m,).
    span
        Share of the points in each local fit.
    knots
        Half the greatest number of local fits.

    Returns
    -------
    Shape (m,).
    """
    from scipy.interpolate import CubicHermiteSpline

    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    share = np.linspace(0, 1, min(knots, len(xs)))
    # Quantiles follow the crowd of rare genes, even steps the few abundant ones.
    at = np.unique(np.concatenate([np.quantile(xs, share), xs[0] + share * (xs[-1] - xs[0])]))
    width = min(len(xs), max(3, int(span * len(xs) + 1e-5)))
    fits = np.array([_local(xs, ys, point, width) for point in at])
    if len(at) == 1:
        return np.full(len(x), fits[0, 0])
    return np.asarray(CubicHermiteSpline(at, fits[:, 0], fits[:, 1])(x))


def _local(x: Vector, y: Vector, point: float, width: int) -> Matrix:
    """Value and slope at ``point`` of the quadratic fitted to the ``width`` nearest points; x ascends."""
    ends = np.arange(len(x) - width + 1)
    reach = np.maximum(point - x[ends], x[ends + width - 1] - point)
    start = int(reach.argmin())
    radius = reach[start] or 1.0
    u = (x[start : start + width] - point) / radius
    # The square root of the tricube weight; the clip keeps what ties put beyond the radius at zero.
    root = np.clip(1 - np.abs(u) ** 3, 0, None) ** 1.5
    basis = np.stack([np.ones_like(u), u, u * u], axis=1)
    solved = np.linalg.lstsq(basis * root[:, None], y[start : start + width] * root, rcond=None)[0]
    return np.array([solved[0], solved[1] / radius])
