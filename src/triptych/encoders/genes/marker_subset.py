"""A panel of the best marker of each known type: what a study could do that knew its types beforehand."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Counts, Indices, Matrix
from triptych.encoders.genes.subset import FittedSubset, fitted
from triptych.maths.counts import checked, normalised
from triptych.maths.rank_sums import rank_sums

FEWEST: Final = 2  # members of a type


@dataclass(frozen=True)
class MarkerSubset:
    """log(1 + count · median / total) of the markers of the known types; totals are those of all genes.

    The markers of a type are the genes with the highest z of Wilcoxon's rank sum against the rest, as
    `markers` ranks them. They are chosen by the known labels, so what is scored against the same labels has
    seen them.

    Parameters
    ----------
    per_type
        Genes that each type gives; a gene that several give counts once.
    """

    per_type: int = 1

    takes: ClassVar[Literal["labelled-counts"]] = "labelled-counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1214/aoms/1177730491"

    def __post_init__(self) -> None:
        if self.per_type < 1:
            raise ValueError("per_type must be at least 1")

    def encode(self, counts: Counts, rng: np.random.Generator) -> Matrix:
        """Choose markers and hand out their columns.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes, with the known labels; unlabelled observations take no
            part in the choice.
        rng
            Not used.

        Returns
        -------
        Shape (n, c), float32, in the order of the columns; an observation without counts stays zero.

        Warns
        -----
        TriptychWarning
            When types have one member and give no gene.

        Raises
        ------
        DataError
            When there are no known labels, or no two types to compare, or the counts cannot be used.
        """
        return self.fit(counts, rng).value

    def fit(self, counts: Counts, rng: np.random.Generator) -> Fit[Matrix, FittedSubset]:
        """Choose markers, hand out their columns, and keep the choice in ``chosen_genes``.

        Parameters
        ----------
        counts, rng
            As for `encode`.

        Raises
        ------
        DataError
            When there are no known labels, or no two types to compare, or the counts cannot be used.
        """
        matrix = checked(counts.matrix)
        return fitted("marker-subset", counts, matrix, self._markers(matrix, _known(counts)))

    def restore(self, folder: Path) -> FittedSubset:
        """Read the model that was saved in a folder."""
        return FittedSubset.load(folder)

    def _markers(self, matrix: sp.csr_matrix, truth: Codes) -> Indices:
        """The genes with the highest score of each type."""
        rows = np.flatnonzero(truth >= 0)
        sizes = np.bincount(truth[rows])
        kept = np.flatnonzero(sizes >= FEWEST)
        if len(kept) < 2:
            raise DataError(
                f"marker-subset: {len(kept)} known types have {FEWEST} members; two must, to be compared.",
                "Label more observations.",
            )
        if ((sizes > 0) & (sizes < FEWEST)).any():
            count = int(((sizes > 0) & (sizes < FEWEST)).sum())
            said = f"marker-subset: types of fewer than {FEWEST} members give no gene; there are {count}."
            warnings.warn(said, TriptychWarning, stacklevel=4)
        codes = np.full(len(sizes), -1)
        codes[kept] = np.arange(len(kept))
        # The logarithm leaves ranks as they are; single precision ties shares that differ in the last bit.
        x = normalised(matrix)[rows].astype(np.float32)
        score = rank_sums(x, codes[truth[rows]], len(kept)).score
        return np.unique(np.argsort(-score, axis=1, kind="stable")[:, : self.per_type])


def _known(counts: Counts) -> Codes:
    """The codes of the known labels, or a refusal of counts without."""
    if counts.truth is None:
        raise DataError(
            "marker-subset: no known labels were given.", "In a recipe, read a study with obs:truth."
        )
    if len(counts.truth) != counts.matrix.shape[0]:
        raise DataError(
            f"marker-subset: there are known labels of {len(counts.truth)} rows and counts of "
            f"{counts.matrix.shape[0]}.",
            "Give one for each observation, -1 where none is known.",
        )
    return counts.truth
