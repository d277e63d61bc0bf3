"""Every gene, normalised and logged: the sparse view for fusers that reduce it themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Counts
from triptych.maths.counts import checked, logged, normalised


@dataclass(frozen=True)
class LogNormalised:
    """log(1 + count · target / total), all genes, sparse.

    Parameters
    ----------
    target_sum
        Total of each observation after normalising; None takes the median of the totals above zero.
    """

    target_sum: float | None = None

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.target_sum is not None and not self.target_sum > 0:
            raise ValueError("target_sum must be above 0, or null for the median")

    def encode(self, counts: Counts, rng: np.random.Generator) -> sp.csr_matrix:
        """Normalise and take logarithms.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes.
        rng
            Not used.

        Returns
        -------
        CSR of float32, shape (n, g); an observation without counts stays zero.

        Raises
        ------
        DataError
            When the counts are empty, negative, not finite or all zero.
        """
        return logged(normalised(checked(counts.matrix), self.target_sum)).astype(np.float32)
