"""How many types have a cluster of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes
from triptych.maths.matching import by_majority, shared
from triptych.metrics.contingency import check_codes


@dataclass(frozen=True)
class TypesFound:
    """Number of types that at least one cluster is called after, by majority: those with any recall.

    A count, from 1 to the number of types; more clusters make it easier. Where two types are equally many
    in a cluster, it is called after the rarer one.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("types-found", truth, guess)
        types = by_majority(shared(truth, guess))
        return float(len(np.unique(types[types >= 0])))
