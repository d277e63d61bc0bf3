"""How far each cluster holds a single true class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.metrics.contingency import Contingency, check_codes


@dataclass(frozen=True)
class Homogeneity:
    """Share of the true classes that the clusters explain: 1 when each cluster holds a single class.

    h = I(T; G) / H(T), and 1 when there is a single class. More clusters never lower it.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.18653/v1/D07-1043"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("homogeneity", truth, guess)
        table = Contingency.of(truth, guess)
        entropy = table.entropies[0]
        return min(table.mutual_information / entropy, 1.0) if entropy else 1.0
