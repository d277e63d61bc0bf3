"""Every gene, normalised and logged: the sparse view for fusers that reduce it themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.models import Fit, Saved
from triptych.core.protocols import Counts, Vector
from triptych.encoders.genes.lookup import Missing, depth, find, in_columns
from triptych.maths.counts import checked, gene_totals, logged, median_total, normalised


@dataclass(frozen=True)
class LogNormalised:
    """log(1 + count · target / total), all genes, sparse.

    Parameters
    ----------
    target_sum
        Total of each observation after normalising; None takes the median of the totals above zero.
    """

    target_sum: float | None = None

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.target_sum is not None and not self.target_sum > 0:
            raise ValueError("target_sum must be above 0, or null for the median")

    def encode(self, counts: Counts, rng: np.random.Generator) -> sp.csr_matrix:
        """Normalise and take logarithms.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes.
        rng
            Not used.

        Returns
        -------
        CSR of float32, shape (n, g); an observation without counts stays zero.

        Raises
        ------
        DataError
            When the counts are empty, negative, not finite or all zero.
        """
        return self.fit(counts, rng).value

    def fit(self, counts: Counts, rng: np.random.Generator) -> Fit[sp.csr_matrix, FittedLogNormalised]:
        """Normalise and take logarithms, and keep the genes and the total.

        Parameters
        ----------
        counts, rng
            As for `encode`.

        Raises
        ------
        DataError
            When the counts are empty, negative, not finite or all zero.
        """
        matrix = checked(counts.matrix)
        model = FittedLogNormalised(
            genes=tuple(counts.genes.tolist()),
            target_sum=self.target_sum or median_total(matrix),
            totals=gene_totals(matrix),
        )
        return Fit(logged(normalised(matrix, model.target_sum)).astype(np.float32), model)

    def restore(self, folder: Path) -> FittedLogNormalised:
        """Read the model that was saved in a folder."""
        return FittedLogNormalised.load(folder)


@dataclass(frozen=True, eq=False)
class FittedLogNormalised(Saved):
    """The columns and the depth of a fit.

    Parameters
    ----------
    genes
        Names of the g columns.
    target_sum
        Total of each observation over these genes.
    totals
        Counts of each gene, shape (g,).
    """

    genes: tuple[str, ...]
    target_sum: float
    totals: Vector

    def __post_init__(self) -> None:
        if self.totals.shape != (len(self.genes),):
            raise ValueError(f"its totals have shape {self.totals.shape}; it has {len(self.genes)} genes")

    def apply(self, counts: Counts) -> sp.csr_matrix:
        """Normalise other observations to the depth of the fit, in its columns.

        Genes are found by name, and those that the fit did not have are left out. One that is missing
        becomes a column of zeros: in a sparse matrix it cannot be told from a gene that nobody
        expresses. Totals are those of the genes that are there, and their target is lowered by the share
        of the counts that the missing ones had in the fit.

        Parameters
        ----------
        counts
            Raw counts of n observations.

        Returns
        -------
        CSR of float32, shape (n, g).

        Warns
        -----
        TriptychWarning
            When genes are missing.

        Raises
        ------
        DataError
            When the counts cannot be used, or more than half of the genes are missing.
        """
        instead = "Their columns are zero, as if nobody expressed them."
        missing = Missing(np.ones(len(self.genes)), "all genes", instead)
        present, matrix = find("log-normalised", counts, self.genes, missing)
        found = logged(normalised(matrix, depth(self.target_sum, self.totals, present))).astype(np.float32)
        return in_columns(found, present, len(self.genes))
