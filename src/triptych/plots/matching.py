"""Which predicted domain looks like which known label: for colours, never for scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from triptych.core.protocols import Codes


def contingency(truth: Codes, guess: Codes) -> NDArray[np.integer[Any]]:
    """Observations per pair of labels; those that lack either are left out.

    Parameters
    ----------
    truth, guess
        Codes, shape (n,); -1 = missing.

    Returns
    -------
    numpy.ndarray
        Counts, shape (labels of the truth, labels of the guess).
    """
    both = (truth >= 0) & (guess >= 0)
    rows, columns = int(truth.max(initial=-1)) + 1, int(guess.max(initial=-1)) + 1
    flat = truth[both].astype(np.int64) * columns + guess[both]
    return np.bincount(flat, minlength=rows * columns).reshape(rows, columns)


def match(truth: Codes, guess: Codes) -> dict[int, int]:
    """One-to-one assignment with the largest overlap (Kuhn 1955, the Hungarian method).

    Parameters
    ----------
    truth, guess
        Codes, shape (n,); -1 = missing.

    Returns
    -------
    dict
        Code of the guess → code of the truth, for the pairs that share at least one observation.
    """
    table = contingency(truth, guess)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return {int(column): int(row) for row, column in zip(rows, columns, strict=True) if table[row, column]}
