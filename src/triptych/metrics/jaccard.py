"""Jaccard index of each type and the one cluster that is matched to it, averaged over types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes
from triptych.maths.matching import hits, jaccard, one_to_one, shared
from triptych.metrics.contingency import check_codes


@dataclass(frozen=True)
class JaccardIndex:
    """Mean over the types of |A ∩ B| / |A ∪ B|, of the type A and its one cluster B.

    1/T max_π Σ_A J(A, π(A)), where π gives no cluster twice (Kuhn 1955, the Hungarian method). A type without
    a cluster counts with 0.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1111/j.1469-8137.1912.tb05611.x"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("jaccard", truth, guess)
        index = jaccard(shared(truth, guess))
        here = np.diff(index.indptr) > 0  # types that occur
        return float(hits(index, one_to_one(index))[here].mean())
