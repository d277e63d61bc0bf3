"""Recall averaged over types, so that rare ones count as much as frequent ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes
from triptych.maths.matching import by_majority, hits, one_to_one, shared
from triptych.metrics.contingency import check_codes


@dataclass(frozen=True)
class MacroRecall:
    """Mean over the types of the share of their observations that lie in clusters called after them.

    1/T Σ_y n_y,found / n_y. A type after which no cluster is called counts with 0.

    Parameters
    ----------
    matching
        ``majority``: a cluster is called after the type that most of it belongs to, which more clusters make
        easier; ``hungarian``: the best assignment one to one.
    """

    matching: Literal["majority", "hungarian"] = "majority"

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1109/ICPR.2010.764"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("macro-recall", truth, guess)
        table = shared(truth, guess)
        types = by_majority(table) if self.matching == "majority" else one_to_one(table)
        size = np.asarray(table.sum(axis=1)).ravel()
        here = size > 0
        return float((hits(table, types)[here] / size[here]).mean())
