"""Markers: the genes that tell each group from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import false_discovery_control

from triptych.analyses.groups import NOTE, Groups, given, grouped
from triptych.core.analysis import Material
from triptych.core.protocols import Codes, Indices, Matrix
from triptych.maths.counts import checked, detected_in, normalised
from triptych.maths.rank_sums import rank_sums


@dataclass(frozen=True)
class Markers:
    """Wilcoxon's rank sum of the normalised counts of each group against the rest.

    Parameters
    ----------
    top
        Genes per group, those with the highest score; 0 gives all genes that are seen.
    target_sum
        Total of each observation after normalising; None takes the median of the totals above zero.

    Notes
    -----
    Where clusters and markers come from the same counts, p-values are descriptive: they rank genes and do
    not test them (double dipping); neighbouring observations are not independent either. ``samples_agree``
    says how well a marker holds from section to section.
    """

    top: int = 25
    target_sum: float | None = None

    takes: ClassVar[frozenset[str]] = frozenset({"counts"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1214/aoms/1177730491"

    def __post_init__(self) -> None:
        if self.top < 0:
            raise ValueError("top must not be negative; 0 gives all genes")
        if self.target_sum is not None and not self.target_sum > 0:
            raise ValueError("target_sum must be above 0, or null for the median")

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Rank the genes of each group.

        Parameters
        ----------
        material
            Labels, places and counts; unlabelled observations take part in nothing.
        rng
            Not used.

        Returns
        -------
        One row per group and gene: ``group``, ``rank`` (from 1), ``gene``, ``score`` (z of the rank sum,
        corrected for ties), ``log2_fold_change``, ``auroc``, ``share_in`` and ``share_out`` (of observations
        that have the gene), ``pvalue``, ``padj`` (Benjamini and Hochberg over the genes of the group),
        ``samples_agree`` of ``samples``: in how many sections the mean differs in the direction of the fold
        change, of those that hold both the group and others. ``attrs["note"]`` says what the p-values are
        worth. Genes never seen have no row. The logarithm leaves ranks as they are and is not taken.

        Warns
        -----
        TriptychWarning
            When a group has one member and is left out.

        Raises
        ------
        DataError
            When counts are missing or are none, lengths differ, or there are no two groups to compare.
        """
        counts = given("markers", material)
        groups = grouped("markers", material)
        x = normalised(checked(counts.matrix), self.target_sum)[groups.rows]
        seen = np.flatnonzero(detected_in(x) > 0)
        x = x[:, seen]
        # Shares that are equal, as 1/500 and 3/1500, may differ in the last bit: single precision ties them.
        found = rank_sums(x.astype(np.float32), groups.codes, len(groups.names))
        change = fold_change(x, groups)
        agree, held = agreement(x, groups, material.places.sample[groups.rows], np.sign(change))
        rows, columns, rank = _best(found.score, self.top or len(seen))
        values = {
            "score": found.score, "log2_fold_change": change, "auroc": found.auroc,
            "share_in": found.share_in, "share_out": found.share_out, "pvalue": found.pvalue,
            "padj": false_discovery_control(found.pvalue, axis=1), "samples_agree": agree,
        }  # fmt: skip
        table = pd.DataFrame(
            {
                "group": np.array(groups.names, dtype=object)[rows],
                "rank": rank,
                "gene": counts.genes[seen[columns]].astype(object),
                **{name: value[rows, columns] for name, value in values.items()},
                "samples": held[rows],
            }
        )
        table.attrs["note"] = NOTE
        return table


def _best(score: Matrix, top: int) -> tuple[Indices, Indices, Indices]:
    """Row, column and rank of the highest scores of each row; equal ones stay in their order."""
    order = np.argsort(-score, axis=1, kind="stable")[:, :top]
    rows = np.repeat(np.arange(len(order)), order.shape[1])
    return rows, order.ravel(), np.tile(np.arange(1, order.shape[1] + 1), len(order))


def fold_change(x: sp.csr_matrix, groups: Groups) -> Matrix:
    """log₂ of the ratio of the mean of the group and that of the rest, shape (k, g).

    Both means are raised by one count in the smaller of the two sides, so that a gene seen nowhere in one
    of them has a finite change that is no larger than the number of observations can tell.

    Parameters
    ----------
    x
        Normalised counts of the labelled observations, CSR of shape (m, g).
    groups
        Of the m observations.
    """
    size, n = groups.sizes[:, None], x.shape[0]
    inside = (groups.members @ x).toarray()
    outside = np.asarray(x.sum(axis=0)).ravel() - inside
    one = 1 / np.minimum(size, n - size)
    # What is left when nearly all is subtracted may be a rounding error below zero.
    return np.asarray(np.log2(inside / size + one) - np.log2(np.maximum(outside, 0) / (n - size) + one))


def agreement(x: sp.csr_matrix, groups: Groups, sample: Codes, sign: Matrix) -> tuple[Indices, Indices]:
    """In how many sections the means differ as they do over all, and how many hold group and others.

    Parameters
    ----------
    x
        Normalised counts of the labelled observations, CSR of shape (m, g).
    groups
        Of the m observations.
    sample
        Code of the section of each, shape (m,).
    sign
        Of the difference over all sections, shape (k, g); where it is 0 nothing agrees.

    Returns
    -------
    Whole numbers, shapes (k, g) and (k,).
    """
    agree, held = np.zeros(sign.shape, np.int64), np.zeros(len(groups.names), np.int64)
    for code in np.unique(sample):
        rows = np.flatnonzero(sample == code)
        here = Groups(rows, groups.codes[rows], groups.names)
        size, part = here.sizes[:, None], x[rows]
        both = (size > 0) & (size < len(rows))
        inside = (here.members @ part).toarray()
        outside = np.asarray(part.sum(axis=0)).ravel() - inside
        difference = inside / np.maximum(size, 1) - outside / np.maximum(len(rows) - size, 1)
        agree += both & (np.sign(difference) == sign) & (sign != 0)
        held += both.ravel()
    return agree, held
