"""Root of the mean square error of abundances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Matrix
from triptych.metrics.abundances import check_abundances


@dataclass(frozen=True)
class Rmse:
    """√ of the mean of (x_it - y_it)² over all observations and types: 0 at best.

    In the units of the abundance; abundant types weigh most.
    """

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
        check_abundances("rmse", truth, guess)
        return float(np.sqrt(np.square(truth.astype(np.float64) - guess).mean()))
