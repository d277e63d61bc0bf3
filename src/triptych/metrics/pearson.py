"""Correlation of what is known and what is guessed, type by type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Matrix
from triptych.maths.correlations import by_column, mean_of_known
from triptych.metrics.abundances import check_abundances


@dataclass(frozen=True)
class Pearson:
    """Pearson correlation over the observations of each type, averaged over the types: -1 to 1.

    1/T Σ_t r_t, r_t = Σ_i (x_it - x̄_t)(y_it - ȳ_t) / √(Σ_i (x_it - x̄_t)² Σ_i (y_it - ȳ_t)²).
    A type whose truth is constant is left out, one whose guess alone is constant counts 0, and where every
    type is left out the score is NaN. It sees neither scale nor offset: read it beside ``l1``.
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
        check_abundances("pearson", truth, guess)
        return mean_of_known(by_column(truth, guess))
