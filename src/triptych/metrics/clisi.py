"""How pure in labels a neighbourhood is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes
from triptych.maths.neighbours import Neighbours
from triptych.metrics.lisi import lisi
from triptych.metrics.neighbourhoods import OfNeighbourhoods


@dataclass(frozen=True)
class Clisi(OfNeighbourhoods):
    """Median of the labels around an observation: 1 when one alone, 0 when all equally.

    cLISI = (K - median LISI) / (K - 1) for K labels; the raw median is K - (K - 1) cLISI. Exact neighbours,
    Euclidean. Saturates: most spaces that separate labels at all score near 1.

    Parameters
    ----------
    neighbours
        Looked at around each observation, itself counted, three times the perplexity of their weights.
    """

    neighbours: int = 90

    name: ClassVar[str] = "clisi"
    least: ClassVar[int] = 4
    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 2
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41592-019-0619-0"

    def value(self, found: Neighbours, codes: Codes) -> float:
        """CLISI of the neighbours."""
        k = len(np.unique(codes))
        return float((k - np.median(lisi(found, codes))) / (k - 1))
