"""Rows decomposed once, for every penalty of a ridge regression and for the components of neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import scipy.linalg as la

from triptych.core.errors import DataError
from triptych.core.protocols import Matrix, Vector

ROWS: Final = 4096  # that are in double precision at once
WIDEST: Final = 10_000  # the smaller side of a matrix whose products are formed whole
SILENT: Final = 1e-10  # share of a direction that the penalty leaves: below it, as good as none


class Spectrum(NamedTuple):
    """Rows that are learned from, decomposed: X_c = U S Vᵀ for centred columns.

    Attributes
    ----------
    rows
        How many, n.
    centre, offset
        Means of the columns and of the types, shapes (d,) and (t,).
    values
        S², rising, shape (r,).
    vectors
        V, orthonormal columns, shape (d, r).
    cross
        Vᵀ X_cᵀ Y_c, shape (r, t).
    """

    rows: int
    centre: Vector
    offset: Vector
    values: Vector
    vectors: Matrix
    cross: Matrix

    def coefficients(self, alpha: float) -> Matrix:
        """V (S² + αI)⁻¹ Vᵀ X_cᵀ Y_c, shape (d, t)."""
        return np.asarray(self.vectors @ (self.cross / (self.values + alpha)[:, None]))

    def directions(self, alpha: float) -> Matrix:
        """V S (S² + αI)^-½, from which `leverage` follows, shape (d, at most r)."""
        kept = self.values / (self.values + alpha)
        return np.ascontiguousarray((self.vectors * np.sqrt(kept))[:, kept > SILENT])


def spectrum(x: Matrix, y: Matrix) -> Spectrum:
    """Decompose rows by the Gram matrix of their smaller side, in double precision.

    Parameters
    ----------
    x
        Shape (n, d).
    y
        Shape (n, t).
    """
    n, d = x.shape
    centre = np.sum([part.sum(axis=0) for part in blocks(x)], axis=0) / n
    offset = y.mean(axis=0)
    return (_by_columns if d <= n else _by_rows)(x, y, centre, offset)


def _by_columns(x: Matrix, y: Matrix, centre: Vector, offset: Vector) -> Spectrum:
    """From X_cᵀX_c, d × d."""
    n, d = x.shape
    gram, cross = np.zeros((d, d)), np.zeros((d, y.shape[1]))
    for start, block in enumerate(blocks(x)):
        part = block - centre
        gram += part.T @ part
        cross += part.T @ (y[start * ROWS : start * ROWS + ROWS] - offset)
    values, vectors = la.eigh(gram, overwrite_a=True, check_finite=False)
    return Spectrum(n, centre, offset, np.clip(values, 0.0, None), vectors, vectors.T @ cross)


def _by_rows(x: Matrix, y: Matrix, centre: Vector, offset: Vector) -> Spectrum:
    """From X_cX_cᵀ, n × n where there are fewer rows than columns; directions without any spread drop out."""
    part = np.asarray(x, np.float64) - centre
    values, left = la.eigh(part @ part.T, overwrite_a=True, check_finite=False)
    seen = values > np.finfo(np.float64).eps * len(x) * max(values[-1], np.finfo(np.float64).tiny)
    single, left = np.sqrt(values[seen]), left[:, seen]
    vectors = (part.T @ left) / single
    return Spectrum(len(x), centre, offset, values[seen], vectors, single[:, None] * (left.T @ (y - offset)))


def guessed(x: Matrix, found: Spectrum, alphas: tuple[float, ...]) -> tuple[Matrix, Matrix]:
    """Guesses and leverages of other rows under each penalty.

    Parameters
    ----------
    x
        Shape (m, d).
    found
        What was learned from.
    alphas
        The penalties, a of them.

    Returns
    -------
    Shapes (a, m, t) and (a, m).
    """
    values = np.empty((len(alphas), len(x), len(found.offset)))
    leverages = np.empty((len(alphas), len(x)))
    for start, block in enumerate(blocks(x)):
        rows = slice(start * ROWS, start * ROWS + ROWS)
        part = block - found.centre
        along, square = part @ found.vectors, np.einsum("ij,ij->i", part, part)
        for at, alpha in enumerate(alphas):
            values[at, rows] = found.offset + along @ (found.cross / (found.values + alpha)[:, None])
            kept = along**2 @ (found.values / (found.values + alpha))
            leverages[at, rows] = leverage(square, kept, alpha, found.rows)
    return values, leverages


def leverage(square: Vector, kept: Vector, alpha: float, rows: int) -> Vector:
    """Leverage h = 1/n + c(X_cᵀX_c + αI)⁻¹cᵀ, with c a row less the centre, shape (m,).

    By (X_cᵀX_c + αI)⁻¹ = (I - V S²(S² + αI)⁻¹ Vᵀ) / α, which also counts what lies outside the span of V.

    Parameters
    ----------
    square
        ‖c‖², shape (m,).
    kept
        ‖c V S (S² + αI)^-½‖², shape (m,).
    alpha
        The penalty.
    rows
        n of the fit.
    """
    return 1 / rows + np.clip(square - kept, 0.0, None) / alpha


def check_size(name: str, n: int, d: int) -> None:
    """Refuse a matrix whose smaller side is too large to be decomposed.

    Parameters
    ----------
    name
        Of the predictor, to open the message.
    n, d
        Rows and columns.

    Raises
    ------
    DataError
        When both are above `WIDEST`.
    """
    if min(n, d) > WIDEST:
        raise DataError(
            f"{name}: {n} observations with {d} columns are too many; one may exceed {WIDEST}, not both.",
            "Reduce the views first, e.g. with the fuser pca.",
        )


def blocks(x: Matrix) -> Iterator[Matrix]:
    """Rows in double precision, `ROWS` at once."""
    for start in range(0, len(x), ROWS):
        yield np.asarray(x[start : start + ROWS], np.float64)
