"""Principal components of the logged expression of variable genes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Counts, Indices, Matrix, Vector
from triptych.encoders.genes.lookup import Missing, chosen, depth, find
from triptych.maths.counts import (
    checked,
    detected_in,
    gene_totals,
    logged,
    median_total,
    normalised,
    scaled,
    spread,
)
from triptych.maths.pca import principal_components, projected
from triptych.maths.variable_genes import highly_variable


@dataclass(frozen=True)
class Pca:
    """Choose genes, normalise, take logarithms, scale, keep the leading principal components.

    Each stage can be left out; totals are those of the chosen genes. The matrix stays sparse throughout:
    genes are centred inside the decomposition, and scaled values are clipped on the side of large counts
    only.

    Parameters
    ----------
    components
        Dimension of the result.
    hvg
        Number of highly variable genes, ranked in each batch on the raw counts; 0 keeps every gene.
    min_spots
        Genes seen in fewer observations are left out first.
    normalise
        Whether to bring each observation to the same total.
    target_sum
        That total; None takes the median of the totals above zero.
    log
        Whether to take log(1 + x).
    scale
        Whether to bring each gene to unit variance.
    max_value
        Where scaled values are clipped, in standard deviations above the mean; 0 for nowhere.
    """

    components: int = 20
    hvg: int = 0
    min_spots: int = 0
    normalise: bool = True
    target_sum: float | None = None
    log: bool = True
    scale: bool = False
    max_value: float = 10.0

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True  # the start vector of the iterations, when there are many genes
    cite: ClassVar[str] = "10.1016/j.cell.2019.05.031"  # the ranking of variable genes

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError("components must be at least 1")
        if self.hvg < 0 or self.min_spots < 0 or self.max_value < 0:
            raise ValueError("hvg, min_spots and max_value must not be negative")
        if self.target_sum is not None and not self.target_sum > 0:
            raise ValueError("target_sum must be above 0, or null for the median")

    def encode(self, counts: Counts, rng: np.random.Generator) -> Matrix:
        """Project the observations on their principal components.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes; the batch codes serve the choice of genes.
        rng
            Draws the start vector of the iterations.

        Returns
        -------
        Shape (n, components), columns by falling variance; in the loadings of each the entry of
        largest size is positive.

        Raises
        ------
        DataError
            When the counts cannot be used, or leave too few genes or observations.
        """
        return self.fit(counts, rng).value

    def fit(self, counts: Counts, rng: np.random.Generator) -> Fit[Matrix, FittedPca]:
        """Project the observations, and keep what projects others on the same components.

        Parameters
        ----------
        counts, rng
            As for `encode`.

        Raises
        ------
        DataError
            When the counts cannot be used, or leave too few genes or observations.
        """
        matrix = checked(counts.matrix)
        columns = self._columns(matrix, counts)
        matrix = chosen(matrix, columns)
        target = (self.target_sum or median_total(matrix)) if self.normalise else None
        ready = self.transformed(matrix, target)
        deviation, ceiling = spread(ready, self.max_value) if self.scale else (None, None)
        if deviation is not None and ceiling is not None:
            ready = scaled(ready, deviation, ceiling)
        found = principal_components(ready, self.components, rng)
        model = FittedPca(
            component=self,
            genes=tuple(counts.genes[columns].tolist()),
            target_sum=target,
            totals=gene_totals(matrix),
            deviation=deviation,
            ceiling=ceiling,
            mean=found.mean,
            loadings=np.ascontiguousarray(found.loadings),  # as they come back from a file, to the bit
        )
        return Fit(found.scores, model)

    def restore(self, folder: Path) -> FittedPca:
        """Read the model that was saved in a folder."""
        return FittedPca.load(folder)

    def transformed(self, matrix: sp.csr_matrix, target_sum: float | None) -> sp.csr_matrix:
        """Counts of the chosen genes, normalised and logged as the parameters say; float64.

        Parameters
        ----------
        matrix
            CSR of shape (n, g).
        target_sum
            Total of each observation; None leaves them as they are.
        """
        if target_sum is not None:
            matrix = normalised(matrix, target_sum)
        if self.log:
            matrix = logged(matrix)
        return matrix.astype(np.float64)

    def _columns(self, matrix: sp.csr_matrix, counts: Counts) -> Indices:
        """The columns of the genes to use, ascending."""
        columns = np.arange(matrix.shape[1])
        if self.min_spots:
            columns = np.flatnonzero(detected_in(matrix) >= self.min_spots)
            if not len(columns):
                raise DataError(
                    f"None of {matrix.shape[1]} genes is seen in {self.min_spots} observations.",
                    "Lower min_spots.",
                )
        if self.hvg:
            columns = columns[highly_variable(chosen(matrix, columns), self.hvg, counts.batch)]
        return columns


@dataclass(frozen=True, eq=False)
class FittedPca(Saved):
    """What `Pca.fit` learned; nothing of it is estimated again from other observations.

    Parameters
    ----------
    component
        With which parameters.
    genes
        Names of the g genes chosen.
    target_sum
        Total of each observation over these genes; None when totals stay as they are.
    totals
        Counts of each gene, shape (g,).
    deviation, ceiling
        By what each gene is divided, and where it is clipped before, each of shape (g,); None when genes
        are not scaled.
    mean
        Of each gene before centring, shape (g,).
    loadings
        Shape (g, components).
    """

    component: Pca
    genes: tuple[str, ...]
    target_sum: float | None
    totals: Vector
    deviation: Vector | None
    ceiling: Vector | None
    mean: Vector
    loadings: Matrix

    def __post_init__(self) -> None:
        g = len(self.genes)
        each = [self.totals, self.mean, self.deviation, self.ceiling]
        fits = all(part is None or part.shape == (g,) for part in each)
        if not fits or self.loadings.shape != (g, self.component.components):
            raise ValueError(f"its arrays do not fit {g} genes and {self.component.components} components")
        if (self.deviation is None) != (self.ceiling is None):
            raise ValueError("deviation and ceiling go together")

    def apply(self, counts: Counts) -> Matrix:
        """Project other observations on the components of the fit.

        Genes are found by name. One that is missing is taken at the mean of the fit, so that it adds
        nothing; totals are then those of the genes that are there, and their target is lowered by the
        share of the counts that the missing ones had in the fit.

        Parameters
        ----------
        counts
            Raw counts of n observations; the batch codes are not used.

        Returns
        -------
        Shape (n, components).

        Warns
        -----
        TriptychWarning
            When genes are missing.

        Raises
        ------
        DataError
            When the counts cannot be used, or genes are missing that carry more than half of the squared
            loadings.
        """
        weight = np.square(self.loadings).sum(axis=1)
        instead = "They are taken at their mean in the fit."
        present, matrix = find("pca", counts, self.genes, Missing(weight, "the squared loadings", instead))
        target = None if self.target_sum is None else depth(self.target_sum, self.totals, present)
        ready = self.component.transformed(matrix, target)
        if self.deviation is not None and self.ceiling is not None:
            ready = scaled(ready, self.deviation[present], self.ceiling[present])
        return projected(ready, self.loadings[present], self.mean[present])
