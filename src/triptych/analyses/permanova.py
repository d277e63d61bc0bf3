"""PERMANOVA: how far groups lie apart in a space, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.analyses.pairs import Result, check_permutations, each_pair, parted
from triptych.core.analysis import Material
from triptych.core.protocols import Matrix
from triptych.maths.group_sums import pvalue, squares


@dataclass(frozen=True)
class Permanova:
    """Permutational analysis of variance of each pair of groups, on Euclidean distances.

    pseudo-F = SS_A / (SS_W / (n - 2)), from sums of rows (Anderson 2001): no distance between two rows is
    ever taken.

    Parameters
    ----------
    permutations
        Random labellings of each pair; the smallest p-value is 1 / (1 + permutations).
    standardise
        Whether columns become z-scores over all rows of the groups; constant ones are left out.

    Notes
    -----
    Groups of one place and unlike spread differ too: read it beside ``permdisp``. With many rows the
    smallest difference has a small p-value; R² says how large it is.
    """

    permutations: int = 999
    standardise: bool = True

    takes: ClassVar[frozenset[str]] = frozenset({"x"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1111/j.1442-9993.2001.01070.pp.x"

    def __post_init__(self) -> None:
        check_permutations(self.permutations)

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Compare each pair of groups.

        Parameters
        ----------
        material
            Labels and a space; unlabelled observations take part in nothing.
        rng
            Draws the permutations.

        Returns
        -------
        One row per pair: ``group`` and ``other``, ``n`` and ``n_other`` of their observations, ``pseudo_f``
        (infinite where nothing varies within the groups), ``r2`` (SS_A / SS_T), ``distance`` between the
        centroids (in standard deviations of the columns when standardised), ``pvalue`` and ``padj``
        (Benjamini and Hochberg over the pairs). ``attrs["note"]`` says what the p-values are worth.

        Warns
        -----
        TriptychWarning
            When a group has one member and is left out.

        Raises
        ------
        DataError
            When there is no space, lengths differ, values are not finite, there are no two groups to compare,
            or all columns are constant.
        """
        parts = parted("permanova", material, standardise=self.standardise, rng=rng)
        return each_pair(parts, self._compared, rng)

    def _compared(self, one: Matrix, other: Matrix, rng: np.random.Generator) -> Result:
        found = squares(one, other)
        return {
            "pseudo_f": found.f, "r2": found.r2, "distance": found.distance,
            "pvalue": pvalue(one, other, self.permutations, rng),
        }  # fmt: skip
