"""Rank scores of gene programmes in each cell, of which only the stored counts are sorted."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Matrix, Vector

AT_ONCE: Final = 2**21  # stored values that are ranked at once, so that a block takes tens of MB


class RankScores(NamedTuple):
    """How high the genes of each programme stand in each cell.

    Attributes
    ----------
    score
        From 0, its genes are the lowest, to 1, they are the highest; shape (n, p).
    z
        Deviation of their ranks from what random genes of the same cell would have, in standard deviations,
        positive where they stand higher; 0 where all genes of the cell are alike; shape (n, p).
    """

    score: Matrix
    z: Matrix


def rank_scores(x: sp.csr_matrix, members: NDArray[np.bool_], *, max_rank: int = 0) -> RankScores:
    """Score programmes by the ranks that their genes have in each cell.

    The highest of the g genes of a cell has rank 1, ties have the mean of their ranks, and ranks above
    m = ``max_rank`` count as m + 1. Of the k genes of a programme with ranks r

        score = 1 - (Σ r - k(k + 1)/2) / (k(m + 1) - k(k + 1)/2),

    the U of Mann and Whitney scaled to [0, 1] (UCell, Andreatta and Carmona 2021,
    10.1016/j.csbj.2021.06.043). UCell's releases differ in whether the largest sum is km or k(m + 1); here it
    is the latter, so that 0 is reached. Of k genes drawn at random from those of the cell, Σ r has the mean
    k·r̄ and the variance k·s²·(g - k)/g, with r̄ and s² (of g - 1) those of all ranks of the cell; z
    is by how many standard deviations Σ r lies below.

    The zeros of a cell, which are most of it, are one group of ties and are never written out.

    Parameters
    ----------
    x
        Counts, CSR of shape (n, g), no value below zero.
    members
        Which genes belong to each programme, shape (p, g); each has at least one.
    max_rank
        Where ranks are cut, at least as large as any programme; 0 for nowhere, which is right for a panel of
        few genes. For whole transcriptomes UCell takes 1500.
    """
    n, p = x.shape[0], len(members)
    score, z = np.zeros((n, p)), np.zeros((n, p))
    start = 0
    while start < n:
        end = int(np.searchsorted(x.indptr, x.indptr[start] + AT_ONCE, side="right")) - 1
        end = min(max(end, start + 1), n)
        rows = slice(start, end)
        score[rows], z[rows] = _scored(x[rows], members, max_rank or x.shape[1])
        start = end
    return RankScores(score, z)


def _scored(x: sp.csr_matrix, members: NDArray[np.bool_], max_rank: int) -> tuple[Matrix, Matrix]:
    """Scores and z of a block of cells."""
    g, k = x.shape[1], members.sum(axis=1).astype(np.float64)
    ranked, zeros = _ranked(x, max_rank + 1)
    stored = np.diff(ranked.indptr)
    # Σ r = k · (rank of zeros) + what stored genes have less
    below = sp.csr_matrix(
        (ranked.data - np.repeat(zeros, stored), ranked.indices, ranked.indptr), shape=ranked.shape
    )
    total = below @ members.T.astype(np.float64) + zeros[:, None] * k
    least, most = k * (k + 1) / 2, k * (max_rank + 1)
    score = 1 - (total - least) / (most - least)
    shift, square = _sums(below.data, stored), _sums(below.data**2, stored)
    mean = zeros + shift / g
    variance = np.maximum(square - shift**2 / g, 0) / max(g - 1, 1)
    deviation = np.sqrt(variance[:, None] * k * (g - k) / g)
    z = np.divide(mean[:, None] * k - total, deviation, out=np.zeros_like(total), where=deviation > 0)
    return score, z


def _ranked(x: sp.csr_matrix, most: int) -> tuple[sp.csr_matrix, Vector]:
    """Descending ranks of the stored values, at most ``most``, and of the zeros of each cell, shape (n,)."""
    x = sp.csr_matrix(x, copy=True)
    x.eliminate_zeros()
    stored = np.diff(x.indptr)
    row = np.repeat(np.arange(x.shape[0]), stored)
    order = np.lexsort((-x.data.astype(np.float64), row))
    values = x.data[order]
    fresh = np.ones(len(order), bool)  # where a group of ties begins
    fresh[1:] = (values[1:] != values[:-1]) | (row[1:] != row[:-1])  # rows are contiguous after the sort
    first = np.flatnonzero(fresh)
    size = np.diff(np.append(first, len(order)))
    rank = np.empty(len(order))
    rank[order] = np.repeat(first - x.indptr[row[first]] + (size + 1) / 2, size)
    zeros = stored + (x.shape[1] - stored + 1) / 2
    ranks = sp.csr_matrix((np.minimum(rank, most), x.indices, x.indptr), shape=x.shape)
    return ranks, np.minimum(zeros, most)


def _sums(values: Vector, stored: NDArray[np.integer]) -> Vector:
    """Sums of the stored values of each row, shape (n,)."""
    sums = np.bincount(np.repeat(np.arange(len(stored)), stored), values, len(stored))
    return sums.astype(np.float64)  # nothing stored at all would count as integers
