"""Which cluster is which type: the counts they share, by majority and one to one."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from triptych.core.protocols import Codes, Indices


def shared(truth: Codes, guess: Codes) -> sp.csr_matrix:
    """How many observations each type and cluster share; those that lack either are left out.

    Parameters
    ----------
    truth, guess
        Codes, shape (n,); -1 = missing.

    Returns
    -------
    Whole numbers, CSR of shape (types, clusters), as many as the largest codes say.
    """
    both = (truth >= 0) & (guess >= 0)
    shape = (int(truth.max(initial=-1)) + 1, int(guess.max(initial=-1)) + 1)
    ones = np.ones(int(both.sum()), np.int64)
    table = sp.coo_matrix((ones, (truth[both], guess[both])), shape=shape)
    return sp.csr_matrix(table.tocsr())  # what lies in one cell is summed


def jaccard(table: sp.csr_matrix) -> sp.csr_matrix:
    """Jaccard index of each type A and cluster B that meet, |A ∩ B| / |A ∪ B| (Jaccard 1912).

    Parameters
    ----------
    table
        Counts, CSR of shape (types, clusters); those that are counted nowhere are no part of A or B.

    Returns
    -------
    Above 0 to 1, CSR of the same shape.
    """
    cells = table.tocoo()
    types, clusters = (np.asarray(table.sum(axis=axis)).ravel() for axis in (1, 0))
    union = types[cells.row] + clusters[cells.col] - cells.data
    return sp.csr_matrix((cells.data / union, (cells.row, cells.col)), shape=table.shape)


def by_majority(table: sp.csr_matrix) -> Indices:
    """The type that most of each cluster belongs to; many clusters may be of one type.

    Parameters
    ----------
    table
        Counts, CSR of shape (types, clusters).

    Returns
    -------
    Type of each cluster, shape (clusters,); -1 for a cluster without members. Where several types have
    equally many, the rarest of them wins, then the first.
    """
    cells = table.tocoo()
    rarity = np.asarray(table.sum(axis=1)).ravel()[cells.row]
    order = np.lexsort((cells.row, rarity, -cells.data, cells.col))
    clusters, first = np.unique(cells.col[order], return_index=True)
    found = np.full(table.shape[1], -1)
    found[clusters] = cells.row[order][first]
    return found


def one_to_one(table: sp.csr_matrix) -> Indices:
    """The assignment of clusters to types with the largest sum (Kuhn 1955, the Hungarian method).

    Parameters
    ----------
    table
        What each type and cluster share, CSR of shape (types, clusters): counts, or another measure that is
        0 where they do not meet.

    Returns
    -------
    Type of each cluster, shape (clusters,); -1 for a cluster that is left over, or shares nothing with what
    is left for it.
    """
    cells = table.tocoo()
    types, rows = np.unique(cells.row, return_inverse=True)  # codes that nobody has need no memory
    clusters, columns = np.unique(cells.col, return_inverse=True)
    counts = np.zeros((len(types), len(clusters)), table.dtype)
    counts[rows, columns] = cells.data
    chosen = linear_sum_assignment(counts, maximize=True)
    found = np.full(table.shape[1], -1)
    found[clusters[chosen[1]]] = np.where(counts[chosen] > 0, types[chosen[0]], -1)
    return found


def hits(table: sp.csr_matrix, types: Indices) -> NDArray[Any]:
    """How much each type shares with the clusters that were given to it, shape (types,).

    Parameters
    ----------
    table
        Counts, or another measure, CSR of shape (types, clusters); the result is of its kind.
    types
        Type of each cluster, shape (clusters,); -1 = none.
    """
    cells = table.tocoo()
    right = types[cells.col] == cells.row
    return np.bincount(cells.row[right], cells.data[right], table.shape[0]).astype(table.dtype)
