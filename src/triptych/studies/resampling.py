"""Intervals of the adjusted Rand index by resampling spatial blocks, for all arms with the same draws.

Contingency tables add up over blocks, so a resample is a weighted sum of tables: no label is touched twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Vector

DRAWS: Final = 500


def block_tables(truth: Codes, guess: Codes, blocks: Codes) -> NDArray[np.float64]:
    """Contingency table of every block.

    Parameters
    ----------
    truth, guess
        Codes from 0, shape (n,).
    blocks
        Block of each observation from 0, shape (n,).

    Returns
    -------
    Shape (blocks, classes, clusters).
    """
    shape = (int(blocks.max()) + 1, int(truth.max()) + 1, int(guess.max()) + 1)
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


def resampled(tables: NDArray[np.float64], draws: NDArray[np.float64]) -> Vector:
    """Adjusted Rand index of each resample, shape (draws,)."""
    return ari_of_tables(np.tensordot(draws, tables, axes=1))
