"""A panel of few genes, chosen without labels: what is left of transcriptomics when it has to be cheap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.models import Fit
from triptych.core.protocols import Counts, Indices, Matrix
from triptych.encoders.genes.subset import FittedSubset, fitted
from triptych.maths.counts import checked, logged, normalised
from triptych.maths.pca import principal_components


@dataclass(frozen=True)
class GeneSubset:
    """log(1 + count · median / total) of a few genes; totals are those of all genes.

    Parameters
    ----------
    by
        ``pca-loadings`` takes those of the largest absolute loading in each principal component of the
        log-normalised counts; ``random`` draws them.
    components
        Principal components.
    per_component
        Genes that each of them gives; a gene that several give counts once.
    count
        Genes that are drawn.
    """

    by: Literal["pca-loadings", "random"] = "pca-loadings"
    components: int = 15
    per_component: int = 3
    count: int = 19

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if min(self.components, self.per_component, self.count) < 1:
            raise ValueError("components, per_component and count must be at least 1")

    def encode(self, counts: Counts, rng: np.random.Generator) -> Matrix:
        """Choose genes and hand out their columns.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes.
        rng
            Draws the genes, or the start vector of the decomposition.

        Returns
        -------
        Shape (n, c), float32, in the order of the columns; an observation without counts stays zero.

        Raises
        ------
        DataError
            When the counts cannot be used, or there are too few genes or observations.
        """
        return self.fit(counts, rng).value

    def fit(self, counts: Counts, rng: np.random.Generator) -> Fit[Matrix, FittedSubset]:
        """Choose genes, hand out their columns, and keep the choice in ``chosen_genes``.

        Parameters
        ----------
        counts, rng
            As for `encode`.

        Raises
        ------
        DataError
            When the counts cannot be used, or there are too few genes or observations.
        """
        matrix = checked(counts.matrix)
        columns = self._loaded(matrix, rng) if self.by == "pca-loadings" else self._drawn(matrix, rng)
        return fitted("gene-subset", counts, matrix, columns)

    def restore(self, folder: Path) -> FittedSubset:
        """Read the model that was saved in a folder."""
        return FittedSubset.load(folder)

    def _loaded(self, matrix: sp.csr_matrix, rng: np.random.Generator) -> Indices:
        """The genes of the largest loadings."""
        found = principal_components(logged(normalised(matrix)), self.components, rng)
        order = np.argsort(-np.abs(found.loadings), axis=0, kind="stable")
        return np.unique(order[: self.per_component])

    def _drawn(self, matrix: sp.csr_matrix, rng: np.random.Generator) -> Indices:
        """Genes at random, each at most once."""
        g = matrix.shape[1]
        if self.count > g:
            raise DataError(
                f"gene-subset: {self.count} genes cannot be drawn from {g}.", f"Set count to {g} or fewer."
            )
        return rng.choice(g, self.count, replace=False)
