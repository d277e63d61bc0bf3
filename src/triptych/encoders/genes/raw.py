"""Raw counts as they are: the view against which every embedding of genes is held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.models import Fit, Saved
from triptych.core.protocols import Counts, Vector
from triptych.encoders.genes.lookup import Missing, find, in_columns
from triptych.maths.counts import checked, gene_totals


@dataclass(frozen=True)
class Raw:
    """Counts of every gene, neither normalised nor logged, sparse.

    Totals differ between observations, so distances are first of all differences of depth, and the genes
    with the highest counts decide what is left.
    """

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def encode(self, counts: Counts, rng: np.random.Generator) -> sp.csr_matrix:
        """Hand out the counts.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes.
        rng
            Not used.

        Returns
        -------
        CSR of float32, shape (n, g), exact up to 2²⁴.

        Raises
        ------
        DataError
            When the counts are empty, negative or not finite.
        """
        return self.fit(counts, rng).value

    def fit(self, counts: Counts, rng: np.random.Generator) -> Fit[sp.csr_matrix, FittedRaw]:
        """Hand out the counts, and keep the genes.

        Parameters
        ----------
        counts, rng
            As for `encode`.

        Raises
        ------
        DataError
            When the counts are empty, negative or not finite.
        """
        matrix = checked(counts.matrix)
        model = FittedRaw(tuple(counts.genes.tolist()), gene_totals(matrix))
        return Fit(matrix.astype(np.float32), model)

    def restore(self, folder: Path) -> FittedRaw:
        """Read the model that was saved in a folder."""
        return FittedRaw.load(folder)


@dataclass(frozen=True, eq=False)
class FittedRaw(Saved):
    """The columns of a fit.

    Parameters
    ----------
    genes
        Names of the g columns.
    totals
        Counts of each gene, shape (g,).
    """

    genes: tuple[str, ...]
    totals: Vector

    def __post_init__(self) -> None:
        if self.totals.shape != (len(self.genes),):
            raise ValueError(f"its totals have shape {self.totals.shape}; it has {len(self.genes)} genes")

    def apply(self, counts: Counts) -> sp.csr_matrix:
        """Hand out other counts in the columns of the fit.

        Genes are found by name, and those that the fit did not have are left out. One that is missing
        becomes a column of zeros: in a sparse matrix it cannot be told from a gene that nobody expresses.

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
            When the counts cannot be used, or genes that had more than half of the counts in the fit are
            missing.
        """
        missing = Missing(self.totals, "its counts", "Their columns are zero, as if nobody expressed them.")
        present, matrix = find("raw", counts, self.genes, missing)
        return in_columns(matrix.astype(np.float32), present, len(self.genes))
