"""Mean absolute error of abundances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Matrix
from triptych.metrics.abundances import check_abundances


@dataclass(frozen=True)
class L1:
    """Mean of abs(x_it - y_it) over all observations and types, in the units of the abundance: 0 at best."""

    against: ClassVar[Literal["truth", "space", "abundance", "interval"]] = "abundance"
    greater_is_better: ClassVar[bool] = False
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
        check_abundances("l1", truth, guess)
        return float(np.abs(truth.astype(np.float64) - guess).mean())
