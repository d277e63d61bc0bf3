"""No alignment: the control of every aligner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from triptych.core.protocols import Codes, Matrix


@dataclass(frozen=True)
class Unaligned:
    """The view as it is."""

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Return ``x``, shape (n, d)."""
        return x
