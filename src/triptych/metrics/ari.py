"""The adjusted Rand index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.protocols import Codes
from triptych.metrics.contingency import Contingency, check_codes


@dataclass(frozen=True)
class Ari:
    """Pairs on which truth and guess agree, above what chance gives: 1 at best, about 0 by chance.

    ARI = (Σ C(n_tg, 2) - E) / ((Σ C(n_t, 2) + Σ C(n_g, 2)) / 2 - E), where chance gives
    E = Σ C(n_t, 2) Σ C(n_g, 2) / C(n, 2).
    Two labellings without any pair, or with nothing but pairs, are equal and score 1.
    """

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1007/BF01908075"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("ari", truth, guess)
        table = Contingency.of(truth, guess)
        n = len(truth)
        both, true, guessed = (
            float((counts * (counts - 1)).sum()) for counts in (table.cells, table.truth, table.guess)
        )
        chance = true * guessed / (n * (n - 1)) if n > 1 else 0.0
        best = (true + guessed) / 2
        return 1.0 if best == chance else (both - chance) / (best - chance)
