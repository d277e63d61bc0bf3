"""Adjusted mutual information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.metrics.contingency import check_codes


@dataclass(frozen=True)
class Ami:
    """Mutual information above what labellings of the same sizes share by chance: 1 at best.

    AMI = (I - E[I]) / ((H(T) + H(G)) / 2 - E[I]).
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1145/1553374.1553511"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        from sklearn.metrics import adjusted_mutual_info_score

        check_codes("ami", truth, guess)
        return float(adjusted_mutual_info_score(truth, guess))
