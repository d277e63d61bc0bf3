"""A few genes out of all: what encoders that choose them share, and the model that they leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from triptych.core.models import Fit, Saved
from triptych.core.protocols import Counts, Indices, Matrix, Vector
from triptych.encoders.genes.lookup import Missing, chosen, depth, find
from triptych.maths.counts import gene_totals, logged, median_total, normalised


@dataclass(frozen=True, eq=False)
class FittedSubset(Saved):
    """The genes that were chosen, and the depth of the fit over all its genes.

    Parameters
    ----------
    encoder
        Name of the encoder, to open messages.
    genes
        Names of all g genes of the fit.
    columns
        Which of them were chosen, ascending, shape (c,).
    target_sum
        Total of each observation over all genes.
    totals
        Counts of each gene, shape (g,).
    """

    encoder: str
    genes: tuple[str, ...]
    columns: Indices
    target_sum: float
    totals: Vector

    def __post_init__(self) -> None:
        if self.totals.shape != (len(self.genes),):
            raise ValueError(f"its totals have shape {self.totals.shape}; it has {len(self.genes)} genes")
        kept = np.zeros(len(self.genes), bool)
        if self.columns.min(initial=0) < 0 or self.columns.max(initial=0) >= len(self.genes):
            raise ValueError(f"its columns are not those of {len(self.genes)} genes")
        kept[self.columns] = True
        if not np.array_equal(np.flatnonzero(kept), self.columns):
            raise ValueError("its columns are not in order, each once")

    @property
    def chosen_genes(self) -> tuple[str, ...]:
        """Names of the genes that were chosen, one for each column of the result."""
        return tuple(self.genes[column] for column in self.columns)

    def apply(self, counts: Counts) -> Matrix:
        """Normalise other observations to the depth of the fit, and take the genes that were chosen.

        Genes are found by name. One that is missing becomes a column of zeros, as if nobody expressed it.
        Totals are those of all genes of the fit that are there, and their target is lowered by the share of
        the counts that the missing ones had in the fit.

        Parameters
        ----------
        counts
            Raw counts of n observations; labels and batch codes are not used.

        Returns
        -------
        Shape (n, c), float32.

        Warns
        -----
        TriptychWarning
            When genes of the fit are missing, chosen or not.

        Raises
        ------
        DataError
            When the counts cannot be used, or more than half of the chosen genes are missing.
        """
        weight = np.zeros(len(self.genes))
        weight[self.columns] = 1
        instead = "Those that were chosen become columns of zeros, as if nobody expressed them."
        missing = Missing(weight, "those that were chosen", instead)
        present, matrix = find(self.encoder, counts, self.genes, missing)
        among = np.flatnonzero(np.isin(present, self.columns))
        target = depth(self.target_sum, self.totals, present)
        result = np.zeros((matrix.shape[0], len(self.columns)), np.float32)
        result[:, np.searchsorted(self.columns, present[among])] = _taken(matrix, target, among)
        return result


def fitted(
    encoder: str, counts: Counts, matrix: sp.csr_matrix, columns: Indices
) -> Fit[Matrix, FittedSubset]:
    """The chosen columns of the log-normalised counts, and the model.

    Parameters
    ----------
    encoder
        Name of the encoder.
    counts
        Of n observations.
    matrix
        Their counts, checked.
    columns
        Of the genes chosen, each once, in any order.
    """
    columns = np.sort(columns).astype(np.int64)
    target = median_total(matrix)
    genes = tuple(counts.genes.tolist())
    model = FittedSubset(encoder, genes, columns, target, gene_totals(matrix))
    return Fit(_taken(matrix, target, columns), model)


def _taken(matrix: sp.csr_matrix, target_sum: float, columns: Indices) -> Matrix:
    """Log-normalised by the totals of all columns, then only some of them; dense, as there are few."""
    return np.asarray(logged(chosen(normalised(matrix, target_sum), columns)).toarray(), np.float32)
