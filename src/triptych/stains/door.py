"""What every normaliser asks of pixels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.protocols import Pixels

LAMP: Final = 240.0  # light that passes where there is nothing
LEAST: Final = 0.01  # share of the sample that must be tissue


def densities() -> NDArray[np.float64]:
    """Optical density (natural logarithm) of each value of a pixel, shape (256,): -ln((I + 1) / I₀)."""
    return -np.log((np.arange(256) + 1) / LAMP)


def check_windows(normaliser: str, pixels: Pixels) -> None:
    """Refuse what is no window of pixels.

    Parameters
    ----------
    normaliser
        Its name, to open the message.
    pixels
        Shape (b, h, w, 3).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(normaliser)
    shaped = pixels.ndim == 4 and pixels.shape[-1] == 3
    faults.check(
        shaped, f"the windows have shape {pixels.shape}; they need (b, h, w, 3), red, green and blue."
    )
    faults.check(pixels.dtype == np.uint8, f"the pixels are {pixels.dtype}; they need uint8, 0 … 255.")
    faults.raise_if_any()


def tissue_of(normaliser: str, sample: Pixels, mask: Any) -> Pixels:
    """The pixels of tissue, shape (n, 3).

    Parameters
    ----------
    normaliser
        Its name, to open the message.
    sample
        Shape (b, h, w, 3).
    mask
        Which of them are tissue, shape (b, h, w).

    Raises
    ------
    DataError
        When hardly any of them is.
    """
    share = float(mask.mean()) if mask.size else 0.0
    if share < LEAST:
        raise DataError(
            f"{normaliser}: {100 * share:.1f} % of the sample is tissue; "
            f"{100 * LEAST:.0f} % are needed to estimate its colours.",
            "Draw windows from the tissue, lower beta, or leave the section out.",
        )
    tissue: Pixels = sample[mask]
    return tissue
