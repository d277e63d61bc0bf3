"""No registration: the outlines are taken to lie where they are said to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import pandas as pd

from triptych.core.nuclei import Outlines, Picture, Registration
from triptych.core.protocols import Matrix
from triptych.registrars.door import check_outlines
from triptych.registrars.regions import COLUMNS

NAME: Final = "none"


@dataclass(frozen=True)
class NoRegistration:
    """The outlines as they are: nothing is looked at, so nothing is scored or refused."""

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def register(self, outlines: Outlines, centres_px: Matrix, picture: Picture, mpp: float) -> Registration:
        """No shift, no regions, and a score that is NaN.

        Raises
        ------
        DataError
            When an outline or a centre is not finite.
        """
        check_outlines(NAME, outlines, centres_px)
        regions = pd.DataFrame({column: np.empty(0) for column in COLUMNS})
        return Registration(np.zeros(centres_px.shape), regions.astype({"used": bool}), float("nan"))
