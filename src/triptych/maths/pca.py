"""Principal components of anything that can multiply a vector, centred without subtracting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from triptych.core.errors import DataError, NumericsError
from triptych.core.protocols import Array, Matrix, Vector
from triptych.maths.threads import one_thread

GRAM = 1000  # up to so many columns the covariance is formed whole
BLOCK = 2048  # rows made dense at once


class Components(NamedTuple):
    """What a principal component analysis finds.

    Attributes
    ----------
    scores
        Shape (n, c), columns by falling variance.
    loadings
        Shape (d, c), orthonormal columns; in each, the entry of largest size is positive.
    mean
        Of each column, shape (d,).
    """

    scores: Matrix
    loadings: Matrix
    mean: Vector


def principal_components(
    x: Array | spla.LinearOperator, components: int, rng: np.random.Generator
) -> Components:
    """The leading principal components of ``x``, columns centred but not scaled.

    Up to `GRAM` columns the covariance is formed block by block and decomposed exactly; beyond, Lanczos
    iterations on v → (x - 1mᵀ)ᵀ(x - 1mᵀ)v, with m the column means, run to machine precision.
    Neither makes a sparse matrix dense nor forms anything of n × n.

    Parameters
    ----------
    x
        Shape (n, d): an array, CSR, or a linear operator with its adjoint.
    components
        How many, at most min(n, d) - 1.
    rng
        Draws the start vector of the iterations.

    Raises
    ------
    DataError
        When there are too few rows or columns for so many components.
    NumericsError
        When the iterations do not converge.
    """
    n, d = x.shape
    if not 1 <= components <= min(n, d) - 1:
        raise DataError(
            f"{components} components cannot be had from {n} observations × {d} features.",
            f"Ask for 1 to {max(min(n, d) - 1, 1)}, or keep more observations or features.",
        )
    with one_thread():
        operator = spla.aslinearoperator(x)
        mean = operator.rmatvec(np.ones(n)) / n
        whole = d <= GRAM and not isinstance(x, spla.LinearOperator)
        loadings = _gram(x, mean, components) if whole else _lanczos(operator, mean, components, rng)
        largest = np.abs(loadings).argmax(axis=0)
        loadings = loadings * np.where(loadings[largest, np.arange(components)] < 0, -1.0, 1.0)
        scores = projected(operator, loadings, mean)
    return Components(scores, loadings, mean)


def projected(x: Array | spla.LinearOperator, loadings: Matrix, mean: Vector) -> Matrix:
    """Scores of rows on components that were found before, shape (n, c).

    Parameters
    ----------
    x
        Shape (n, d): an array, CSR, or a linear operator.
    loadings, mean
        Of the components, as in `Components`.
    """
    with one_thread():
        return np.asarray(spla.aslinearoperator(x).matmat(loadings) - mean @ loadings)


def _gram(x: Array, mean: Vector, components: int) -> Matrix:
    """Leading eigenvectors of the covariance, formed from blocks of rows."""
    n, d = x.shape
    gram = np.zeros((d, d))
    for start in range(0, n, BLOCK):
        rows = x[start : start + BLOCK]
        block = (np.asarray(rows.toarray() if isinstance(rows, sp.csr_matrix) else rows)) - mean
        gram += block.T @ block
    vectors = la.eigh(gram, subset_by_index=(d - components, d - 1))[1]
    return np.asarray(vectors[:, ::-1])


def _lanczos(
    operator: spla.LinearOperator, mean: Vector, components: int, rng: np.random.Generator
) -> Matrix:
    """Leading right singular vectors of the centred operator."""
    n, d = operator.shape

    def covariance(v: Vector) -> Vector:
        v = v.ravel()
        seen = operator.matvec(v) - mean @ v
        return np.asarray(operator.rmatvec(seen) - mean * seen.sum())

    square = spla.LinearOperator((d, d), matvec=covariance, dtype=np.float64)
    width = min(d, max(2 * components + 20, 40))  # a wider basis than ARPACK's default converges sooner
    try:
        values, vectors = spla.eigsh(square, k=components, v0=rng.standard_normal(d), ncv=width)
    except spla.ArpackNoConvergence as error:
        raise NumericsError(
            f"The {components} principal components of {n} × {d} values did not converge.",
            "Ask for fewer components, or look for features that are constant or repeated.",
        ) from error
    return np.asarray(vectors[:, np.argsort(-values, kind="stable")])
