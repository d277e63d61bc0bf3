"""Molecules → counts: cells and genes of single transcripts, added up piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix


class Tally:
    """How often each gene was seen in each cell, and where the cells' molecules lie on average.

    A piece costs memory of its own length; what is kept is one sparse matrix, so that tens of millions of
    molecules need no more than their counts. Cells and genes are in the order in which pieces bring them.
    """

    def __init__(self) -> None:
        self.cells: pd.Index = pd.Index([], dtype=object)
        self.genes: pd.Index = pd.Index([], dtype=object)
        self.counts = sp.csr_matrix((0, 0), dtype=np.int32)
        self._sums = np.zeros((0, 2))

    def add(self, cells: Any, genes: Any, um: Matrix | None = None) -> None:
        """Add molecules.

        Parameters
        ----------
        cells, genes
            Name of each molecule's cell and gene, shape (m,), none missing; categories are quickest.
        um
            Where the molecules lie, shape (m, 2); the same kind of call must always or never give it.
        """
        self.cells, row = grown(self.cells, cells)
        self.genes, column = grown(self.genes, genes)
        shape = (len(self.cells), len(self.genes))
        part = sp.coo_matrix((np.ones(len(row), np.int32), (row, column)), shape=shape).tocsr()
        self.counts.resize(shape)
        self.counts = self.counts + part
        sums = np.zeros((len(self.cells), 2))
        sums[: len(self._sums)] = self._sums
        if um is not None:
            for axis in range(2):
                sums[:, axis] += np.bincount(row, weights=um[:, axis], minlength=len(sums))
        self._sums = sums

    @property
    def means(self) -> Matrix:
        """Mean place of each cell's molecules, shape (cells, 2)."""
        number = np.asarray(self.counts.sum(axis=1)).reshape(-1, 1)
        mean: Matrix = self._sums / np.maximum(number, 1)
        return mean

    def rows(self, cells: pd.Index) -> sp.csr_matrix:
        """Counts of these cells, shape (len(cells), genes); zeros for cells without molecules."""
        place = self.cells.get_indexer(cells)
        found = np.flatnonzero(place >= 0)
        counts = self.counts[place[found]]
        lengths = np.zeros(len(cells) + 1, np.int64)
        lengths[found + 1] = np.diff(counts.indptr)
        shape = (len(cells), len(self.genes))
        return sp.csr_matrix((counts.data, counts.indices, np.cumsum(lengths)), shape=shape)


def has_prefix(names: pd.Index, prefixes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which names begin with one of the prefixes, whatever their case; shape (len(names),)."""
    return np.array([str(name).lower().startswith(prefixes) for name in names], dtype=bool)


def grown(known: pd.Index, names: Any) -> tuple[pd.Index, Codes]:
    """The index grown by the new names, and the place of each name in it."""
    if isinstance(names, pd.Series) and isinstance(names.dtype, pd.CategoricalDtype):
        code, categories = names.cat.codes.to_numpy(), names.cat.categories
        used = np.bincount(code, minlength=len(categories)) > 0  # removing unused ones would sort
        codes, unique = (np.cumsum(used) - 1)[code], categories[used]
    else:
        codes, unique = pd.factorize(names)
    unique = pd.Index(np.asarray(unique, dtype=object))
    known = known.append(unique[known.get_indexer(unique) < 0])
    place: Codes = known.get_indexer(unique)[codes]
    return known, place
