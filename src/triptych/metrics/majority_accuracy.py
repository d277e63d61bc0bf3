"""Accuracy when each cluster is called after the type that most of it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.maths.matching import by_majority, hits, shared
from triptych.metrics.contingency import check_codes


@dataclass(frozen=True)
class MajorityAccuracy:
    """Share of observations that are of the most frequent type of their cluster, also called purity.

    Σ_c max_y n_cy / n. It can only rise when clusters are split, and is 1 when each observation is a cluster:
    compare it at one number of clusters, and beside `hungarian-accuracy`, which more clusters do not help.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1017/CBO9780511809071"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("majority-accuracy", truth, guess)
        table = shared(truth, guess)
        return float(hits(table, by_majority(table)).sum() / len(truth))
