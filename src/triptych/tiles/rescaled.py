"""A slide at another resolution, read region by region so that neighbours fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from PIL import Image

from triptych.core.protocols import Pixels
from triptych.tiles.slide import Slide

WHOLE = 1e-3  # a scale that misses 1 by less is taken for it, and the picture is not resampled


@dataclass(frozen=True, eq=False)
class Rescaled:
    """A slide as if it had been scanned at another resolution.

    Every pixel is a weighted mean of those that it covers (bilinear with antialiasing), and depends on its
    place alone, not on the region that is asked for: regions that overlap agree.

    Parameters
    ----------
    slide
        What is read.
    scale
        Pixels given per pixel of the slide.
    """

    slide: Slide
    scale: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be a positive number, got {self.scale}")

    @property
    def shape_px(self) -> tuple[int, int]:
        """Height and width of what can be read."""
        height, width = self.slide.shape_px
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def read(self, x0: int, y0: int, width: int, height: int) -> Pixels:
        """A region, white where it reaches beyond the slide.

        Parameters
        ----------
        x0, y0
            Left and top; may be negative.
        width, height
            In pixels given, at least 1.

        Returns
        -------
        Array of shape (height, width, 3).
        """
        if abs(self.scale - 1) < WHOLE:
            return self.slide.read(x0, y0, width, height)
        level = self.slide.level(1 / self.scale)
        ratio = level.shape_px[1] / self.slide.shape_px[1] / self.scale  # pixels of the level per pixel given
        margin = 2 * max(1.0, ratio)  # what the weighted mean of the outermost pixels covers
        left, top = floor(x0 * ratio - margin), floor(y0 * ratio - margin)
        right, bottom = ceil((x0 + width) * ratio + margin), ceil((y0 + height) * ratio + margin)
        pixels = level.read(left, top, right - left, bottom - top)
        box = (x0 * ratio - left, y0 * ratio - top, (x0 + width) * ratio - left, (y0 + height) * ratio - top)
        resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box)
        return np.asarray(resized)
