"""How often intervals hold what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Matrix
from triptych.metrics.abundances import check_interval


@dataclass(frozen=True)
class Coverage:
    """Share of the known abundances that lie in their interval, ends included: 0 to 1.

    It should be the level that the intervals were made for. More is safer and costs width, so read it beside
    ``interval-width``.
    """

    against: ClassVar[Literal["truth", "space", "abundance", "interval"]] = "interval"
    greater_is_better: ClassVar[bool] = True
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
        check_interval("coverage", truth, guess)
        return float(((guess[0] <= truth) & (truth <= guess[1])).mean())
