"""Colours of categories.

The first six are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/). The others were
added one by one, each as far as possible from all before it in OKLab, as seen with normal vision,
protanopia and deuteranopia, within a lightness that shows on white and on dark paper.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from triptych.core.protocols import Codes

PALETTE: Final = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#864949",
    "#86C286", "#6D86E7", "#DBCE55", "#9E4986", "#AA4900", "#86CEFF", "#CE9EB6",
    "#617955", "#3D55AA", "#DB863D", "#AADB92", "#9279C2", "#61AA61",
)  # fmt: skip
UNLABELLED: Final = "#9AA0A859"  # light grey on white and dark grey on black: a third of its opacity
INK: Final = "#1F2933"


def colour(code: int) -> str:
    """The colour of a category; negative is unlabelled, and after twenty they begin again."""
    return UNLABELLED if code < 0 else PALETTE[code % len(PALETTE)]


def paint(codes: Codes) -> NDArray[np.floating[Any]]:
    """Colours of observations.

    Parameters
    ----------
    codes
        Categories, shape (n,); -1 = unlabelled.

    Returns
    -------
    numpy.ndarray
        Red, green, blue and opacity in [0, 1], shape (n, 4).
    """
    table = np.array([to_rgba(hexa) for hexa in (*PALETTE, UNLABELLED)])
    return table[np.where(codes < 0, len(PALETTE), codes % len(PALETTE))]
