"""How far each true class lies in a single cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.metrics.contingency import Contingency, check_codes


@dataclass(frozen=True)
class Completeness:
    """Share of the clusters that the true classes explain: 1 when each class lies in a single cluster.

    c = I(T; G) / H(G), and 1 when there is a single cluster. One cluster of all is complete.
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
        check_codes("completeness", truth, guess)
        table = Contingency.of(truth, guess)
        entropy = table.entropies[1]
        return min(table.mutual_information / entropy, 1.0) if entropy else 1.0
