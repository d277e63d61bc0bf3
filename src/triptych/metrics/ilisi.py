"""How many batches mix in a neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes, Matrix
from triptych.maths.neighbours import Neighbours, nearest
from triptych.metrics.lisi import lisi
from triptych.metrics.neighbourhoods import check_neighbours, check_space


@dataclass(frozen=True)
class Ilisi:
    """Median of the batches around an observation: 0 when one alone, 1 when all equally.

    iLISI = (median LISI - 1) / (B - 1) for B batches; the raw median is 1 + (B - 1) iLISI. Batches of unequal
    sizes never reach 1. Exact neighbours, Euclidean.

    Parameters
    ----------
    neighbours
        Looked at around each observation, itself counted, three times the perplexity of their weights.
    """

    neighbours: int = 90

    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    mixing: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41592-019-0619-0"

    def __post_init__(self) -> None:
        if not self.neighbours >= 4:
            raise ValueError("neighbours must be 4 or more")

    def score(self, truth: Matrix, guess: Codes) -> float:
        """Find the neighbours and score them.

        Parameters
        ----------
        truth
            The space, shape (n, d).
        guess
            Batches, shape (n,).

        Raises
        ------
        DataError
            When there are too few observations or batches, or values are missing or not finite.
        """
        check_space("ilisi", truth, guess, neighbours=self.neighbours)
        return self.score_neighbours(nearest(truth, self.neighbours), guess)

    def score_neighbours(self, found: Neighbours, codes: Codes) -> float:
        """Score neighbours found before, for callers with several metrics.

        Parameters
        ----------
        found
            At least ``neighbours`` of each of n observations.
        codes
            Batches, shape (n,).

        Raises
        ------
        DataError
            When there are too few neighbours or batches, or codes are missing.
        """
        found = check_neighbours("ilisi", found, codes, neighbours=self.neighbours)
        return float((np.median(lisi(found, codes)) - 1) / (len(np.unique(codes)) - 1))
