"""How mixed the types are within the clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Codes
from triptych.metrics.contingency import Contingency, check_codes


@dataclass(frozen=True)
class LabelEntropy:
    """Entropy of the types within a cluster, averaged over the observations: 0 when each cluster is pure.

    Σ_c (n_c / n) H(c), H(c) = -Σ_y p log p, which is the conditional entropy H(T | G). At most the entropy
    of the types themselves, as with clusters laid out by chance. Like `majority-accuracy` it never gets worse
    when clusters are split.

    Parameters
    ----------
    unit
        ``nats``: natural logarithm; ``bits``: base 2.
    """

    unit: Literal["nats", "bits"] = "nats"

    against: ClassVar[Literal["truth", "space"]] = "truth"
    greater_is_better: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1002/j.1538-7305.1948.tb01338.x"

    def score(self, truth: Codes, guess: Codes) -> float:
        """Compare two labellings, each of shape (n,).

        Raises
        ------
        DataError
            When labels are missing or lengths differ.
        """
        check_codes("label-entropy", truth, guess)
        table = Contingency.of(truth, guess)
        nats = float((table.cells * np.log(table.column / table.cells)).sum() / len(truth))
        return nats / np.log(2.0) if self.unit == "bits" else nats
