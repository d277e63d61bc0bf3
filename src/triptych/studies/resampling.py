"""Intervals of what follows from a contingency table, by resampling spatial blocks, the same for all arms.

Contingency tables add up over blocks, so a resample is a weighted sum of tables: no label is touched twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Vector

DRAWS: Final = 500


def block_tables(
    truth: Codes, guess: Codes, blocks: Codes, *, least: tuple[int, int] = (0, 0)
) -> NDArray[np.float64]:
    """Contingency table of every block.

    Parameters
    ----------
    truth, guess
        Codes from 0, shape (n,).
    blocks
        Block of each observation from 0, shape (n,).
    least
        Classes and clusters that there are elsewhere, so that tables of several sections add up.

    Returns
    -------
    Shape (blocks, classes, clusters).
    """
    sizes = (max(least[0], int(truth.max()) + 1), max(least[1], int(guess.max()) + 1))
    shape = (int(blocks.max()) + 1, *sizes)
    flat = np.ravel_multi_index((blocks, truth, guess), shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def draws_of(count: int, rng: np.random.Generator, draws: int = DRAWS) -> NDArray[np.float64]:
    """How often each of ``count`` blocks is drawn in each resample, shape (draws, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def ari_of_tables(tables: NDArray[np.float64]) -> Vector:
    """Adjusted Rand index of each table.

    With n_ij the table, a_i and b_j its margins, C(x) = x (x − 1) / 2,
    ARI = (Σ C(n_ij) − E) / ((Σ C(a_i) + Σ C(b_j)) / 2 − E), E = Σ C(a_i) Σ C(b_j) / C(n)
    (Hubert and Arabie 1985).

    Parameters
    ----------
    tables
        Shape (m, classes, clusters).

    Returns
    -------
    Shape (m,); 1 where both partitions have one group, or each observation its own.
    """
    total = tables.sum(axis=(1, 2))
    same = _pairs(tables).sum(axis=(1, 2))
    rows, columns = _pairs(tables.sum(axis=2)).sum(axis=1), _pairs(tables.sum(axis=1)).sum(axis=1)
    expected = rows * columns / np.maximum(_pairs(total), 1.0)
    gap = (rows + columns) / 2 - expected
    index: Vector = np.divide(same - expected, gap, out=np.ones_like(gap), where=np.abs(gap) > 1e-12)
    return index


def _pairs(count: NDArray[np.float64]) -> NDArray[np.float64]:
    return count * (count - 1) / 2


def accuracy_of_tables(tables: NDArray[np.float64]) -> Vector:
    """Majority accuracy of each table, Σ_j max_i n_ij / n.

    Parameters
    ----------
    tables
        Shape (m, classes, clusters).
    """
    accuracy: Vector = tables.max(axis=1).sum(axis=1) / np.maximum(tables.sum(axis=(1, 2)), 1.0)
    return accuracy


OF_TABLES: Final[dict[str, Callable[[NDArray[np.float64]], Vector]]] = {
    "ari": ari_of_tables, "majority-accuracy": accuracy_of_tables,
}  # fmt: skip


def resampled(tables: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table of each resample, shape (draws, classes, clusters)."""
    return np.asarray(np.tensordot(draws, tables, axes=1))
