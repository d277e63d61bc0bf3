"""How far guessed proportions lie from known ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Matrix, Vector
from triptych.metrics.abundances import check_abundances


@dataclass(frozen=True)
class JensenShannon:
    """Jensen-Shannon distance of each observation's proportions, averaged over the observations: 0 to 1.

    √((KL(p, m) + KL(q, m)) / 2) with m = (p + q) / 2 and logarithms to base 2: the distance, not its square,
    the divergence. Abundances are divided by their sum over the types. Observations whose truth sums to 0
    have no proportions and are left out; a guess that sums to 0 where the truth does not counts 1, the
    largest. Where every observation is left out the score is NaN.
    """

    against: ClassVar[Literal["truth", "space", "abundance", "interval"]] = "abundance"
    greater_is_better: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1109/TIT.2003.813506"

    def score(self, truth: Matrix, guess: Matrix) -> float:
        """Compare two abundances, each of shape (n, t).

        Raises
        ------
        DataError
            When shapes differ, nothing is there, or values are not finite or negative.
        """
        check_abundances("jensen-shannon", truth, guess, negative=False)
        known = truth.sum(axis=1) > 0
        if not known.any():
            return float("nan")
        p, q = (_proportions(values[known]) for values in (truth, guess))
        middle = (p + q) / 2
        distance = np.sqrt(np.maximum(_divergence(p, middle) + _divergence(q, middle), 0) / 2)
        return float(np.where(q.sum(axis=1) > 0, distance, 1.0).mean())


def _proportions(values: Matrix) -> Matrix:
    """Rows of sum 1; those of sum 0 stay."""
    wide = values.astype(np.float64)
    total = wide.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(wide, total, out=np.zeros_like(wide), where=total > 0))


def _divergence(p: Matrix, m: Matrix) -> Vector:
    """Σ_t p log₂(p / m) of each row, where 0 log 0 = 0, shape (n,)."""
    ratio = np.divide(p, m, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=1))
