"""Rows of counts → ranked tokens, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Indices, Vector

TARGET_SUM: Final = 1e4


@dataclass(frozen=True)
class Writing:
    """How rows are written as sequences.

    Parameters
    ----------
    length
        Tokens of a sequence at most, those of the frame among them.
    frame
        Numbers of the tokens that open and close a sequence; empty where nothing does.
    pad
        Number of the token that fills up.
    """

    length: int
    frame: tuple[int, ...] = ()
    pad: int = 0

    @property
    def room(self) -> int:
        """Genes of a sequence at most."""
        return self.length - len(self.frame)


def scaled(matrix: sp.csr_matrix, totals: Vector, medians: Vector) -> sp.csr_matrix:
    """Counts per 10 000, over the median of the gene: x = 10⁴ · count / total / median.

    Parameters
    ----------
    matrix
        Raw counts of the genes known, CSR of shape (n, t).
    totals
        Counts of each observation over all genes measured, shape (n,).
    medians
        Of each gene, shape (t,).
    """
    data = matrix.data / np.repeat(totals, np.diff(matrix.indptr)) * TARGET_SUM / medians[matrix.indices]
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def sequences(rows: sp.csr_matrix, tokens: Indices, how: Writing) -> tuple[Indices, NDArray[np.bool_]]:
    """Tokens by falling value, equal ones by token number, and which of them are genes; each of shape (b, l).

    Panels have many equal values, and without the second rule their order would be that of the columns.

    Parameters
    ----------
    rows
        From `scaled`, CSR of shape (b, t) without stored zeros.
    tokens
        Number of each column, shape (t,).
    how
        How to write them; a long row loses its lowest values.
    """
    size = np.diff(rows.indptr)
    row = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(row)) - np.repeat(rows.indptr[:-1], size)
    token = tokens[rows.indices]
    token = token[np.lexsort((token, -rows.data, row))]
    shown, before = np.minimum(size, how.room), len(how.frame[:1])
    written = np.full((len(size), int(shown.max(initial=0)) + len(how.frame)), how.pad, np.int64)
    kept = place < how.room
    written[row[kept], place[kept] + before] = token[kept]
    at = np.arange(written.shape[1])
    genes = (at >= before) & (at < before + shown[:, None])
    if how.frame:
        written[:, 0] = how.frame[0]
        written[np.arange(len(size)), before + shown] = how.frame[1]
    return written, genes


def batches(size: Indices, how: Writing, budget: int) -> Iterator[Indices]:
    """Rows of like length, longest first, so that little is padding; rows without genes are in none.

    Parameters
    ----------
    size
        Genes of each row, shape (n,).
    how
        How they will be written.
    budget
        Tokens of a batch at most, unless one row has more.
    """
    order = np.argsort(-size, kind="stable")[: np.count_nonzero(size)]
    first = 0
    while first < len(order):
        longest = min(int(size[order[first]]), how.room) + len(how.frame)
        last = first + max(1, budget // longest)
        yield order[first:last]
        first = last
