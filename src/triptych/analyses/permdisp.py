"""PERMDISP: whether one group is spread wider than another, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.analyses.pairs import Result, check_permutations, dense, each_pair, parted
from triptych.core.analysis import Material
from triptych.core.protocols import Array, Matrix
from triptych.maths.group_sums import pvalue, squares


@dataclass(frozen=True)
class Permdisp:
    """Analysis of variance of the distances of observations to the centroid of their own group.

    With z the Euclidean distance of a row to its centroid, F is that of a one-way analysis of variance of z
    over the two groups (Anderson 2006); labels of the distances are permuted, their centroids stay.

    Parameters
    ----------
    permutations
        Random labellings of each pair; the smallest p-value is 1 / (1 + permutations).
    standardise
        Whether columns become z-scores over all rows of the groups; constant ones are left out.
    """

    permutations: int = 999
    standardise: bool = True

    takes: ClassVar[frozenset[str]] = frozenset({"x"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1111/j.1541-0420.2005.00440.x"

    def __post_init__(self) -> None:
        check_permutations(self.permutations)

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Compare the spread of each pair of groups.

        Parameters
        ----------
        material
            Labels and a space; unlabelled observations take part in nothing.
        rng
            Draws the permutations.

        Returns
        -------
        One row per pair: ``group`` and ``other``, ``n`` and ``n_other`` of their observations,
        ``f_statistic`` (infinite where distances vary in neither group), ``r2`` (SS_A / SS_T of the
        distances), ``dispersion`` and ``dispersion_other`` (mean distance to the own centroid), ``wider``
        (the group with the larger one), ``pvalue`` and ``padj`` (Benjamini and Hochberg over the pairs).
        ``attrs["note"]`` says what the p-values are worth.

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
        parts = parted("permdisp", material, standardise=self.standardise, rng=rng)
        spread = replace(parts, rows=tuple(_to_centroid(rows) for rows in parts.rows))
        table = each_pair(spread, self._compared, rng)
        first = table["dispersion"] >= table["dispersion_other"]
        table.insert(8, "wider", table["group"].where(first, table["other"]))
        return table

    def _compared(self, one: Matrix, other: Matrix, rng: np.random.Generator) -> Result:
        found = squares(one, other)
        return {
            "f_statistic": found.f, "r2": found.r2,
            "dispersion": float(one.mean()), "dispersion_other": float(other.mean()),
            "pvalue": pvalue(one, other, self.permutations, rng),
        }  # fmt: skip


def _to_centroid(rows: Array) -> Matrix:
    """Distance of each row to the mean of all, shape (n, 1)."""
    x = dense(rows)
    return np.asarray(np.linalg.norm(x - x.mean(axis=0), axis=1, keepdims=True))
