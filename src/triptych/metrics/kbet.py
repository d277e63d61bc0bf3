"""Whether neighbourhoods hold the batches in the proportions of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import chdtrc

from triptych.core.protocols import Codes, Vector
from triptych.maths.neighbours import Neighbours
from triptych.metrics.neighbourhoods import OfNeighbourhoods, compositions, each_block, narrow


@dataclass(frozen=True)
class Kbet(OfNeighbourhoods):
    """Share of neighbourhoods whose batches pass a chi-squared test: 0 to 1.

    χ²_i = Σ_b (n_ib - k f_b)² / (k f_b) on B - 1 degrees of freedom, with n_ib neighbours of batch b among k
    and f_b its share of all; the score is the share of p-values not below alpha, and 1 - kBET the rejection
    rate of the paper. Over all observations, not label by label: where labels differ between batches,
    score each label apart. Exact neighbours, Euclidean.

    Parameters
    ----------
    neighbours
        Looked at around each observation, itself counted.
    alpha
        Level of the test.
    """

    neighbours: int = 50
    alpha: float = 0.05

    name: ClassVar[str] = "kbet"
    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    mixing: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41592-018-0254-1"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.alpha < 1:
            raise ValueError("alpha must lie between 0 and 1")

    def value(self, found: Neighbours, codes: Codes) -> float:
        """Share of neighbourhoods that the test accepts."""
        return float((p_values(found, codes) >= self.alpha).mean())


def p_values(found: Neighbours, codes: Codes) -> Vector:
    """Probability of a composition as far from that of the whole, by chance, shape (n,).

    Parameters
    ----------
    found
        k neighbours of each of n observations, itself counted.
    codes
        Batches, shape (n,).
    """
    codes, size = narrow(codes)
    expected = found.k * size / len(codes)
    p = np.empty(len(codes))

    def fill(rows: slice) -> None:
        observed = compositions(codes[found.indices[rows]], len(size))
        p[rows] = chdtrc(len(size) - 1, ((observed - expected) ** 2 / expected).sum(axis=1))

    each_block(len(codes), found.k + len(size), fill)
    return p
