"""Correlation of what is known and what is guessed, observation by observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Matrix
from triptych.maths.correlations import by_column, mean_of_known
from triptych.metrics.abundances import check_abundances


@dataclass(frozen=True)
class PearsonObservations:
    """Pearson correlation over the types of each observation, averaged over the observations: -1 to 1.

    It asks whether each observation's mixture is in the right order, and a guess that is the same everywhere
    may score high. An observation whose truth is the same for all types is left out, one whose guess alone is
    counts 0, and where every one is left out the score is NaN.
    """

    against: ClassVar[Literal["truth", "space", "abundance", "interval"]] = "abundance"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def score(self, truth: Matrix, guess: Matrix) -> float:
        """Compare two abundances, each of shape (n, t).

        Raises
        ------
        DataError
            When shapes differ, nothing is there, or values are not finite.
        """
        check_abundances("pearson-observations", truth, guess)
        return mean_of_known(by_column(truth.T, guess.T))
