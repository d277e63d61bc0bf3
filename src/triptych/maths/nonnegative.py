"""Non-negative least squares of many right sides at once, from the Gram matrix alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.errors import NumericsError
from triptych.core.protocols import Indices, Matrix
from triptych.maths.threads import one_thread

Mask = NDArray[np.bool_]

AT_ONCE: Final = 2**22  # numbers of a block of systems, so that it takes tens of MB
SINGULAR: Final = 1e-10  # smallest eigenvalue, of columns of length 1, of what can still be told apart
ROUNDING: Final = 1e-12  # of a solution or gradient, relative to the largest product: not told from 0
PATIENCE: Final = 3  # exchanges of whole sets that may bring no progress
ROUNDS: Final = 1000  # far above what is needed: Murty's rule ends, in theory after very many


def nonnegative(gram: Matrix, products: Matrix) -> Matrix:
    """Solve min ‖A x - y‖² with x ≥ 0 for each y, given G = AᵀA and b = Aᵀy.

    A solution meets the Karush-Kuhn-Tucker conditions x ≥ 0, G x - b ≥ 0, xᵀ(G x - b) = 0. It is found by
    block principal pivoting (Portugal, Júdice and Vicente 1994; Kim and Park 2011, 10.1137/110821172): each
    right side has a set of columns that may differ from 0; its unconstrained solution is taken, all columns
    that break a condition change sides, and where that made no progress three times, the last of them alone,
    which must end (Murty 1974). All right sides go side by side, those with small sets in small systems.

    Parameters
    ----------
    gram
        G, symmetric, shape (t, t).
    products
        One b a row, shape (n, t), finite.

    Returns
    -------
    One x a row, shape (n, t), float64.

    Raises
    ------
    NumericsError
        When columns of A depend on each other, so that there is no single solution.
    """
    with one_thread():
        length = np.sqrt(np.diag(gram))
        if np.any(length == 0) or np.linalg.eigvalsh(gram / np.outer(length, length))[0] < SINGULAR:
            raise NumericsError(
                "The columns of the least squares depend on each other, so that no single solution exists.",
                "Leave one of them out.",
            )
        # Columns of length 1 and right sides of size 1: one tolerance suits all.
        b = products / length
        size = np.abs(b).max(axis=1, keepdims=True, initial=0.0)
        size[size == 0] = 1.0
        return np.asarray(_pivoted(gram / np.outer(length, length), b / size) * size / length)


def _pivoted(gram: Matrix, b: Matrix) -> Matrix:
    """Exchange columns until the conditions hold in every row."""
    passive = np.linalg.solve(gram, b.T).T > 0
    x, left = np.zeros_like(b), np.arange(len(b))
    fewest = np.full(len(b), b.shape[1] + 1)
    patience = np.full(len(b), PATIENCE)
    for _ in range(ROUNDS):
        found = _solved(gram, b[left], passive[left])
        wrong = np.where(passive[left], found < -ROUNDING, found @ gram - b[left] < -ROUNDING)
        number = wrong.sum(axis=1)
        done = number == 0
        x[left[done]] = np.maximum(found[done], 0)
        left, wrong, number = left[~done], wrong[~done], number[~done]
        if len(left) == 0:
            return x
        better = number < fewest[left]
        fewest[left] = np.minimum(number, fewest[left])
        patience[left] = np.where(better, PATIENCE, patience[left] - 1)
        passive[left] ^= np.where((patience[left] >= 0)[:, None], wrong, _last(wrong))
    raise NumericsError(f"Non-negative least squares of {len(left)} rows did not end.", "Leave columns out.")


def _last(wrong: Mask) -> Mask:
    """Only the last true value of each row."""
    return np.asarray(wrong & (np.cumsum(wrong[:, ::-1], axis=1)[:, ::-1] == 1))


def _solved(gram: Matrix, b: Matrix, passive: Mask) -> Matrix:
    """The solution of each row over its passive columns, 0 elsewhere."""
    x = np.zeros_like(b)
    for rows, width in _blocks(passive.sum(axis=1)):
        columns = np.argsort(~passive[rows], axis=1, kind="stable")[:, :width]
        system = gram[columns[:, :, None], columns[:, None, :]]
        right = np.take_along_axis(b[rows], columns, axis=1)
        x[rows[:, None], columns] = np.linalg.solve(system, right[:, :, None])[:, :, 0]
    return x


def _blocks(size: Indices) -> Iterator[tuple[Indices, int]]:
    """Rows whose systems are of one size, and that size; rows of size 0 are left out."""
    order = np.argsort(size, kind="stable")
    ends = np.searchsorted(size[order], np.arange(int(size.max(initial=0)) + 1), side="right")
    for width, (first, end) in enumerate(pairwise(ends), start=1):
        step = max(AT_ONCE // width**2, 1)
        for start in range(first, end, step):
            yield order[start : min(start + step, end)], width
