"""Empirical Bayes estimates of ComBat: effects of batches, their priors, and their posterior means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.aligners.moments import Moments
from triptych.core.errors import DataError, NumericsError
from triptych.core.protocols import Matrix, Vector


class Settling(NamedTuple):
    """When estimates that depend on each other count as found.

    Attributes
    ----------
    tol
        Largest relative change.
    max_iter
        Rounds at most.
    """

    tol: float
    max_iter: int


def effects(by: Moments, grand: Vector, varies: NDArray[np.bool_], pooled: Vector) -> tuple[Matrix, Matrix]:
    """Shift γ and scale δ of every batch and varying column as observed, (b, d) each, standardised.

    Parameters
    ----------
    by
        Of batches of two rows or more.
    grand
        Mean to measure the shifts from, shape (columns,).
    varies
        Which columns, shape (columns,).
    pooled
        Standard deviation of those, shape (d,).

    Raises
    ------
    DataError
        When the rows of a batch are all alike.
    """
    shift = (by.mean - grand)[:, varies] / pooled
    spread = by.squares[:, varies] / pooled**2 / (by.size[:, None] - 1)
    if not spread.any(axis=1).all():
        raise DataError("combat: the rows of a batch are all alike.", "Leave that batch out, or use center.")
    return shift, spread


def priors(shift: Matrix, spread: Matrix) -> Matrix:
    """Mean and variance of the shifts, then three numbers for the scales, of every row, (b, 5).

    The three are m(s² + m²), s² and m², with m and s² the moments over the columns: shape a = 2 + m²/s² and
    scale b = m + m³/s² of the inverse gamma are both multiplied by s², so that columns of one variance,
    s² = 0, are the limit m and no division by zero.

    Parameters
    ----------
    shift, spread
        As `effects` gives them.
    """
    mean = spread.mean(axis=1)
    var = spread.var(axis=1, ddof=1) if spread.shape[1] > 1 else np.zeros_like(mean)
    return np.stack([shift.mean(axis=1), shift.var(axis=1), mean * (var + mean**2), var, mean**2], axis=1)


def posterior(
    size: Matrix, shift: Matrix, spread: Matrix, prior: Matrix, settling: Settling
) -> tuple[Matrix, Matrix]:
    """Shift and scale of every batch and column, shrunk, (b, d) each.

    Parameters
    ----------
    size
        Rows of each batch, shape (b, 1).
    shift, spread
        As observed, shape (b, d).
    prior
        As `priors` gives them, shape (b, 5), or (1, 5) for all.
    settling
        When to stop.

    Raises
    ------
    NumericsError
        When the estimates do not settle.
    """
    centre, width, rate, var, square = (prior[:, i : i + 1] for i in range(5))
    g, d = shift, spread
    for _ in range(settling.max_iter):
        g_new = (width * size * shift + d * centre) / (width * size + d)
        squares = (size - 1) * spread + size * (shift - g_new) ** 2
        d_new = (squares / 2 * var + rate) / ((size / 2 + 1) * var + square)
        settled = _change(g, g_new) <= settling.tol and _change(d, d_new) <= settling.tol
        g, d = g_new, d_new
        if settled:
            return g, d
    raise NumericsError(
        f"combat: the estimates did not settle in {settling.max_iter} rounds.", "Raise max_iter or tol."
    )


def _change(old: Matrix, new: Matrix) -> float:
    """Largest change, relative to the size of the estimates."""
    return float(np.abs(new - old).max() / max(float(np.abs(new).max()), np.finfo(np.float64).tiny))
