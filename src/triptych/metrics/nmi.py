"""Normalised mutual information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.metrics.contingency import Contingency, check_codes


@dataclass(frozen=True)
class Nmi:
    """What truth and guess tell of each other, as a share of what they tell at all: 0 to 1.

    NMI = 2 I(T; G) / (H(T) + H(G)). Not adjusted for chance: many small clusters raise it.
    Two labellings of a single class each score 1.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1162/153244303321897735"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("nmi", truth, guess)
        table = Contingency.of(truth, guess)
        total = sum(table.entropies)
        return min(2 * table.mutual_information / total, 1.0) if total else 1.0
