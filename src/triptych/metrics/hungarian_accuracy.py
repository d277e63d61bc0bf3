"""Accuracy when each cluster is called after one type, and no two after the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.maths.matching import hits, one_to_one, shared
from triptych.metrics.contingency import check_codes


@dataclass(frozen=True)
class HungarianAccuracy:
    """Share of observations that are of the type of their cluster, for the best assignment one to one.

    max_π Σ_c n_c,π(c) / n, where π gives no type twice (Kuhn 1955, the Hungarian method). Clusters beyond the
    number of types match nothing, and what lies in them counts as wrong.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1002/nav.3800020109"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("hungarian-accuracy", truth, guess)
        table = shared(truth, guess)
        return float(hits(table, one_to_one(table)).sum() / len(truth))
