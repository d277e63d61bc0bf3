"""No alignment: the control of every aligner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from triptych.aligners.mapping import check_columns
from triptych.core.checks import Faults
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Codes, Matrix


@dataclass(frozen=True, eq=False)
class FittedUnaligned(Saved):
    """Nothing but the shape of the view.

    Parameters
    ----------
    columns
        Of the view that was fitted.
    """

    columns: int

    def apply(self, x: Matrix, batch: Codes) -> Matrix:
        """Return ``x``, shape (n, columns).

        Raises
        ------
        DataError
            When the columns are not as many as in the fit.
        """
        faults = Faults("none")
        check_columns(faults, x, self.columns)
        faults.raise_if_any()
        return x


@dataclass(frozen=True)
class Unaligned:
    """The view as it is."""

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Return ``x``, shape (n, d)."""
        return x

    def fit(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Fit[Matrix, FittedUnaligned]:
        """Return ``x``, shape (n, d), and a model that returns what it is given."""
        return Fit(self.align(x, batch, rng), FittedUnaligned(x.shape[1]))

    def restore(self, folder: Path) -> FittedUnaligned:
        """Read a model that was saved."""
        return FittedUnaligned.load(folder)
