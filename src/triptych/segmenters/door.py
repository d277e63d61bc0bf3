"""What segmenters refuse on the way in."""

from __future__ import annotations

import numpy as np

from triptych.core.checks import Faults
from triptych.core.nuclei import TileSource
from triptych.core.protocols import Pixels


def check_tiles(segmenter: str, tiles: TileSource) -> None:
    """Refuse labelled tiles from which nothing can be learned.

    Parameters
    ----------
    segmenter
        Its name, to open the message.
    tiles
        Labelled tiles.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(segmenter)
    faults.check(len(tiles) > 0, "there are no labelled tiles. Bring sections that have outlines of nuclei.")
    sized = bool(np.isfinite(tiles.mpp)) and tiles.mpp > 0
    faults.check(sized, f"the tiles have {tiles.mpp} µm per pixel; that must be a positive number.")
    faults.raise_if_any()


def check_window(segmenter: str, window: Pixels) -> None:
    """Refuse what is no window of pixels.

    Parameters
    ----------
    segmenter
        Its name, to open the message.
    window
        Shape (h, w, 3).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(segmenter)
    shaped = window.ndim == 3 and window.shape[-1] == 3 and window.size > 0
    faults.check(shaped, f"the window has shape {window.shape}; it needs (h, w, 3), red, green and blue.")
    faults.check(window.dtype == np.uint8, f"the pixels are {window.dtype}; they need uint8, 0 … 255.")
    faults.raise_if_any()
