"""Principal components of the logged expression of variable genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.protocols import Counts, Matrix
from triptych.maths.counts import checked, detected_in, logged, normalised, scaled
from triptych.maths.pca import principal_components
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
        matrix = self._chosen(checked(counts.matrix), counts)
        if self.normalise:
            matrix = normalised(matrix, self.target_sum)
        if self.log:
            matrix = logged(matrix)
        if self.scale:
            matrix = scaled(matrix, self.max_value)
        return principal_components(matrix.astype(np.float64), self.components, rng).scores

    def _chosen(self, matrix: sp.csr_matrix, counts: Counts) -> sp.csr_matrix:
        """The columns of the genes to use."""
        if self.min_spots:
            kept = np.flatnonzero(detected_in(matrix) >= self.min_spots)
            if not len(kept):
                raise DataError(
                    f"None of {matrix.shape[1]} genes is seen in {self.min_spots} observations.",
                    "Lower min_spots.",
                )
            matrix = matrix[:, kept]
        if self.hvg:
            matrix = matrix[:, highly_variable(matrix, self.hvg, counts.batch)]
        return matrix
