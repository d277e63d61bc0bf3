"""How many batches mix in a neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes
from triptych.maths.neighbours import Neighbours
from triptych.metrics.lisi import lisi
from triptych.metrics.neighbourhoods import OfNeighbourhoods


@dataclass(frozen=True)
class Ilisi(OfNeighbourhoods):
    """Median of the batches around an observation: 0 when one alone, 1 when all equally.

    iLISI = (median LISI - 1) / (B - 1) for B batches; the raw median is 1 + (B - 1) iLISI. Batches of unequal
    sizes never reach 1. Exact neighbours, Euclidean.

    Parameters
    ----------
    neighbours
        Looked at around each observation, itself counted, three times the perplexity of their weights.
    """

    neighbours: int = 90

    name: ClassVar[str] = "ilisi"
    least: ClassVar[int] = 4
    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    mixing: ClassVar[bool] = True
    revision: ClassVar[int] = 2
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41592-019-0619-0"

    def value(self, found: Neighbours, codes: Codes) -> float:
        """ILISI of the neighbours."""
        return float((np.median(lisi(found, codes)) - 1) / (len(np.unique(codes)) - 1))
