"""How pure in labels a neighbourhood is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes, Matrix
from triptych.maths.neighbours import Neighbours, nearest
from triptych.metrics.lisi import lisi
from triptych.metrics.neighbourhoods import check_neighbours, check_space


@dataclass(frozen=True)
class Clisi:
    """Median of the labels around an observation: 1 when one alone, 0 when all equally.

    cLISI = (K - median LISI) / (K - 1) for K labels; the raw median is K - (K - 1) cLISI. Exact neighbours,
    Euclidean. Saturates: most spaces that separate labels at all score near 1.

    Parameters
    ----------
    neighbours
        Looked at around each observation, itself counted, three times the perplexity of their weights.
    """

    neighbours: int = 90

    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
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
            Labels, shape (n,).

        Raises
        ------
        DataError
            When there are too few observations or labels, or values are missing or not finite.
        """
        check_space("clisi", truth, guess, neighbours=self.neighbours)
        return self.score_neighbours(nearest(truth, self.neighbours), guess)

    def score_neighbours(self, found: Neighbours, codes: Codes) -> float:
        """Score neighbours found before, for callers with several metrics.

        Parameters
        ----------
        found
            At least ``neighbours`` of each of n observations.
        codes
            Labels, shape (n,).

        Raises
        ------
        DataError
            When there are too few neighbours or labels, or codes are missing.
        """
        found = check_neighbours("clisi", found, codes, neighbours=self.neighbours)
        k = len(np.unique(codes))
        return float((k - np.median(lisi(found, codes))) / (k - 1))
