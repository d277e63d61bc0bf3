"""Intervals of scores of predicted cell types, by resampling spatial blocks, the same for all arms.

The sums that such a score is made of add up over blocks, so a resample is a weighted sum of sums: no
observation is touched twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.abundance import Abundance
from triptych.core.protocols import Codes, Indices, Matrix, Vector

Sums = NDArray[np.float64]  # (blocks, q, t): q sums of each type
ALIKE: Final = 1e-12  # variance relative to the mean square below which a column is constant


def moments(truth: Matrix, guess: Abundance) -> Matrix:
    """1, x, y, x², y², xy of truth and guess, of each observation and type: shape (n, 6, t)."""
    y = guess.values
    return np.stack([np.ones_like(truth), truth, y, truth**2, y**2, truth * y], axis=1)


def pearson_of(sums: Sums) -> Vector:
    """Pearson correlation of each type, mean over those whose truth varies; shape (draws,).

    Parameters
    ----------
    sums
        Of `moments`, shape (draws, 6, t).
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, 1, 0)
    n = np.maximum(n, 1)
    vx, vy, cxy = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2, xy / n - x * y / n**2
    varied = vx > ALIKE * xx / n
    useful = varied & (vy > ALIKE * yy / n)
    r = np.divide(cxy, np.sqrt(np.maximum(vx * vy, 0)), out=np.zeros_like(cxy), where=useful)
    count = varied.sum(axis=1)
    return np.asarray(np.divide(r.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0))


def _of_errors(error: Callable[[Matrix], Matrix], finish: Callable[[Vector], Vector]) -> tuple[Any, Any]:
    def terms(truth: Matrix, guess: Abundance) -> Matrix:
        return np.stack([np.ones_like(truth), error(guess.values - truth)], axis=1)

    def of(sums: Sums) -> Vector:
        count, total = sums.sum(axis=2).T
        return finish(total / np.maximum(count, 1))

    return terms, of


def _inside(truth: Matrix, guess: Abundance) -> Matrix:
    """1, and whether the interval holds the truth."""
    low, high = guess.low, guess.high
    inside = (truth >= low) & (truth <= high) if low is not None and high is not None else np.nan * truth
    return np.stack([np.ones_like(truth), inside], axis=1)


def _share(sums: Sums) -> Vector:
    count, total = sums.sum(axis=2).T
    return np.asarray(total / np.maximum(count, 1))


OF_SUMS: Final[dict[str, tuple[Any, Any]]] = {  # metric → terms of each observation, score of their sums
    "pearson": (moments, pearson_of),
    "l1": _of_errors(np.abs, np.asarray),
    "rmse": _of_errors(np.square, np.sqrt),
    "coverage": (_inside, _share),
}


def of_section(
    metric: str, truth: Abundance, guess: Abundance, rows: Indices, blocks: Codes, draws: Matrix
) -> Vector | None:
    """A score of one section in each resample, shape (draws,); None where nothing of it is known.

    Parameters
    ----------
    metric
        Of `OF_SUMS`.
    truth, guess
        Of the same observations and types.
    rows
        Of the section, shape (m,).
    blocks
        Block of each of these from 0, shape (m,).
    draws
        How often each block is drawn in each resample, shape (draws, blocks).
    """
    known = np.isfinite(truth.values[rows]).all(axis=1) & np.isfinite(guess.values[rows]).all(axis=1)
    if not known.any():
        return None
    at, mine = rows[known], blocks[known]
    low, high = (None if part is None else part[at] for part in (guess.low, guess.high))
    terms, score = OF_SUMS[metric]
    each = terms(truth.values[at], Abundance(guess.values[at], guess.types, low, high))
    sums = np.zeros((draws.shape[1], *each.shape[1:]))
    np.add.at(sums, mine, each)
    return np.asarray(score(np.tensordot(draws, sums, axes=1)))
