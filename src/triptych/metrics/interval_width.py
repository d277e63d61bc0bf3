"""How wide intervals of abundance are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Matrix
from triptych.metrics.abundances import check_interval


@dataclass(frozen=True)
class IntervalWidth:
    """Mean of high - low over all observations and types, in the units of the abundance: narrower is better.

    Only among intervals that hold as many truths as they should: see ``coverage``.
    """

    against: ClassVar[Literal["truth", "space", "abundance", "interval"]] = "interval"
    greater_is_better: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def score(self, truth: Matrix, guess: Matrix) -> float:
        """Judge intervals.

        Parameters
        ----------
        truth
            Shape (n, t).
        guess
            Low and high ends, shape (2, n, t).

        Raises
        ------
        DataError
            When shapes differ, nothing is there, values are not finite, or ends are crossed.
        """
        check_interval("interval-width", truth, guess)
        return float((guess[1].astype(np.float64) - guess[0]).mean())
