"""Rows of expression → sequences of tokens and values, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Indices, Matrix

NO_VALUE: Final = -2.0  # of the class token and of padding


@dataclass(frozen=True, eq=False)
class Writing:
    """How rows are written as sequences.

    Parameters
    ----------
    tokens
        Token number of each column, shape (g,).
    start
        Number of the class token, which comes first.
    pad
        Number of the token that fills up.
    bins
        Number of bins of the values; 0 leaves them as they are.
    length
        Tokens of a sequence at most, the class token among them.
    """

    tokens: Indices
    start: int
    pad: int
    bins: int
    length: int


def sequences(rows: sp.csr_matrix, how: Writing) -> tuple[Indices, NDArray[np.float32], NDArray[np.bool_]]:
    """Tokens, values and which of them are there, each of shape (b, l).

    Genes stand by falling value, equal ones by token number, so that the same row is always the same
    sequence, and a long one loses its lowest values.

    Parameters
    ----------
    rows
        CSR of shape (b, g), without stored zeros.
    how
        How to write them.
    """
    size = np.diff(rows.indptr)
    row = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(row)) - np.repeat(rows.indptr[:-1], size)
    token, value = how.tokens[rows.indices], rows.data
    order = np.lexsort((token, -value, row))
    token, value = token[order], value[order]
    if how.bins:
        falling = np.zeros((len(size), max(1, int(size.max()))))
        falling[row, place] = value
        value = binned(falling, size, how.bins)[row, place]
    width = 1 + min(int(size.max()), how.length - 1)
    genes = np.full((len(size), width), how.pad, np.int64)
    values = np.full((len(size), width), NO_VALUE, np.float32)
    kept = place < width - 1
    genes[:, 0] = how.start
    genes[row[kept], place[kept] + 1] = token[kept]
    values[row[kept], place[kept] + 1] = value[kept]
    return genes, values, np.arange(width) <= size[:, None]


def binned(falling: Matrix, size: Indices, bins: int) -> Indices:
    """Bins 1 … bins - 1 of equal numbers of values, row by row; shape (b, m).

    The edges are ``bins`` - 1 quantiles from the least value to the greatest. A value that meets several
    edges belongs to several bins: it gets the middle one, rounded up, where training draws one of them.

    Parameters
    ----------
    falling
        Values of each row by falling size, then padding, shape (b, m).
    size
        How many values each row has, shape (b,).
    bins
        Number of bins, that of zero included.
    """
    import torch

    last = np.maximum(size - 1, 0)[:, None]
    at = np.linspace(0, 1, bins - 1) * last
    below = np.floor(at).astype(np.intp)
    low, high = (np.take_along_axis(falling, last - p, 1) for p in (below, np.minimum(below + 1, last)))
    # rounding must not put an edge behind the next one
    edges = torch.from_numpy(np.maximum.accumulate(low + (high - low) * (at - below), axis=1))
    values = torch.from_numpy(np.ascontiguousarray(falling))
    up_to, under = (torch.searchsorted(edges, values, right=right) for right in (True, False))
    bin_of: Indices = (up_to + under + 1).numpy() // 2
    return bin_of
