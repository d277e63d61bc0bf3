"""Pearson correlations of columns, and what constant columns count."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Matrix, Vector

ALIKE: Final = 1e-9  # a column that spreads by less than this part of its largest value is constant


def varying(x: Matrix) -> NDArray[np.bool_]:
    """Which columns are not constant up to rounding, shape (t,).

    Parameters
    ----------
    x
        Shape (n, t), at least one row.
    """
    high, low = x.max(axis=0), x.min(axis=0)
    return np.asarray(high - low > ALIKE * np.maximum(np.abs(high), np.abs(low)))


def unit_columns(x: Matrix) -> Matrix:
    """Columns of mean 0 and norm 1, so that products of two are correlations; constant ones become 0.

    Parameters
    ----------
    x
        Shape (n, t), at least one row.
    """
    wide = x.astype(np.float64)
    varies = varying(wide)
    wide -= wide.mean(axis=0)
    norm = np.sqrt(np.einsum("ij,ij->j", wide, wide))
    return np.asarray(wide * np.divide(1.0, norm, out=np.zeros_like(norm), where=varies & (norm > 0)))


def by_column(truth: Matrix, guess: Matrix) -> Vector:
    """Pearson correlation of each column of the truth with that of the guess, shape (t,).

    NaN where the truth is constant, for nothing can be found there; 0 where only the guess is.

    Parameters
    ----------
    truth, guess
        Shape (n, t), at least one row.
    """
    r = np.einsum("ij,ij->j", unit_columns(truth), unit_columns(guess))
    return np.where(varying(truth), np.clip(r, -1.0, 1.0), np.nan)


def mean_of_known(values: Vector) -> float:
    """Mean without NaN; NaN where nothing else is there.

    Parameters
    ----------
    values
        Shape (t,).
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
