"""Wilcoxon's rank sums of sparse columns, of which only the stored values are sorted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import norm

from triptych.core.protocols import Codes, Indices, Matrix, Vector

AT_ONCE: Final = 2**22  # stored values of a block of columns, so that its ranks take tens of MB


@dataclass(frozen=True, eq=False)
class RankSums:
    """Each group against the rest, column by column.

    Parameters
    ----------
    score
        z of the rank sum, positive where the group ranks above the rest, shape (k, g).
    auroc
        Chance that a member has a higher value than one of the rest, ties counting half, shape (k, g).
    share_in, share_out
        Share of members, and of the rest, with a value above zero, shape (k, g).
    """

    score: Matrix
    auroc: Matrix
    share_in: Matrix
    share_out: Matrix

    @property
    def pvalue(self) -> Matrix:
        """Two-sided, shape (k, g)."""
        return np.asarray(2 * norm.sf(np.abs(self.score)))


def rank_sums(x: sp.csr_matrix, codes: Codes, k: int) -> RankSums:
    """Compare each group with the rest.

    With R the sum of the ranks of the n₁ members among all n = n₁ + n₂ values, U = R - n₁(n₁ + 1)/2, and

        z = (U - n₁n₂/2) / √(n₁n₂/12 · (n + 1 - Σ(t³ - t)/(n(n - 1))))

    over the sizes t of groups of tied values (Mann and Whitney 1947, 10.1214/aoms/1177730491), without a
    correction for continuity. A column whose values are all the same has z = 0. The zeros of a column, which
    are most of it, are one group of ties below all stored values and are never written out.

    Parameters
    ----------
    x
        CSR of shape (m, g), no value below zero.
    codes
        Group of each observation, 0 … k-1, shape (m,); -1 = in a group of its own, only part of the rest.
        Each group has members, and none has all.
    k
        Number of groups.
    """
    columns = x.tocsc()
    columns.eliminate_zeros()
    parts = [_ranked(columns[:, block], codes, k) for block in _blocks(columns.indptr)]
    ranks, stored, ties = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    n, n_in = float(x.shape[0]), np.bincount(codes[codes >= 0], minlength=k)[:, None].astype(np.float64)
    pairs = n_in * (n - n_in)
    u = ranks[:-1] - n_in * (n_in + 1) / 2
    deviation = np.sqrt(np.maximum(pairs / 12 * (n + 1 - ties / (n * (n - 1))), 0))
    score = np.divide(u - pairs / 2, deviation, out=np.zeros_like(u), where=ties < n**3 - n)
    outside = stored.sum(axis=0) - stored[:-1]
    return RankSums(score, u / pairs, stored[:-1] / n_in, outside / (n - n_in))


def _blocks(indptr: NDArray[np.integer[Any]]) -> Iterator[slice]:
    """Columns that together store at most `AT_ONCE` values, or one that stores more."""
    first, last = 0, len(indptr) - 1
    while first < last:
        end = int(np.searchsorted(indptr, indptr[first] + AT_ONCE, side="right")) - 1
        end = min(max(end, first + 1), last)
        yield slice(first, end)
        first = end


def _ranked(columns: sp.csc_matrix, codes: Codes, k: int) -> tuple[Matrix, Indices, Vector]:
    """Sum of ranks and number of stored values per group, the others last (k + 1, g), and Σ(t³ - t) (g,)."""
    n, width = columns.shape
    length = np.diff(columns.indptr)
    column, zeros = np.repeat(np.arange(width), length), n - length
    order = np.lexsort((columns.data, column))
    values = columns.data[order]
    fresh = np.ones(len(order), bool)  # where a group of ties begins
    fresh[1:] = (values[1:] != values[:-1]) | (column[1:] != column[:-1])
    first = np.flatnonzero(fresh)
    size = np.diff(np.append(first, len(order)))
    of = column[first]
    rank = np.repeat(zeros[of] + first - columns.indptr[of] + (size + 1) / 2, size)
    codes = np.where(codes < 0, k, codes)
    cell = codes[columns.indices[order]] * width + column
    stored = np.bincount(cell, minlength=(k + 1) * width).reshape(k + 1, width)
    above = np.bincount(cell, rank, minlength=(k + 1) * width).reshape(k + 1, width)
    ranks = above + (np.bincount(codes, minlength=k + 1)[:, None] - stored) * (zeros + 1) / 2
    tied = np.bincount(of, size.astype(np.float64) ** 3 - size, minlength=width)
    return ranks, stored, tied + zeros.astype(np.float64) ** 3 - zeros
