"""The mean colour of windows, by which background is told from tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.protocols import Matrix, Pixels, WindowEncoder


@dataclass(frozen=True)
class MeanRgb:
    """Means of red, green and blue over the window, 0 … 255.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    tile_px
        Side of the array that it is reduced to first.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    window_um: float = 112.0
    tile_px: int = 56
    window_px: int = 0
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""
    takes: ClassVar[Literal["windows"]] = "windows"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.window_um) and self.window_um > 0):
            raise ValueError(f"window_um must be positive, got {self.window_um}")
        if self.tile_px < 1 or self.window_px < 0:
            sides = f"{self.tile_px} and {self.window_px}"
            raise ValueError(f"tile_px must be positive and window_px not negative, got {sides}")

    def load(self, device: str) -> WindowEncoder:
        """The function (b, h, w, 3) → (b, 3); it needs no device."""

        def encode(pixels: Pixels) -> Matrix:
            return np.asarray(pixels.mean(axis=(1, 2), dtype=np.float64))

        return encode
