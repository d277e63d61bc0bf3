"""Windows of a slide, streamed so that each part of the slide is decoded once and few windows are held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from triptych.core.errors import DataError
from triptych.core.protocols import Indices, Matrix, Pixels
from triptych.tiles.slide import Slide

LARGEST_PX = 2**14


@dataclass(frozen=True, eq=False)
class Windows:
    """Square windows around places.

    Parameters
    ----------
    centres_px
        x and y, shape (n, 2), in the pixels that ``Slide.scale`` refers to.
    size_px
        Side of the tissue seen, in the same pixels.
    out_px
        Side of the arrays given.
    """

    centres_px: Matrix
    size_px: float
    out_px: int

    def __post_init__(self) -> None:
        if self.centres_px.ndim != 2 or self.centres_px.shape[1] != 2:
            raise DataError(f"The centres of windows have the shape {self.centres_px.shape}, not (n, 2).")
        bad = int((~np.isfinite(self.centres_px).all(axis=1)).sum())
        if bad:
            raise DataError(f"{bad} of {len(self.centres_px)} centres of windows are not finite.")
        if not (np.isfinite(self.size_px) and self.size_px > 0):
            raise ValueError(f"size_px must be a positive number, got {self.size_px}")
        if self.out_px < 1:
            raise ValueError(f"out_px must be at least 1, got {self.out_px}")


def stream(slide: Slide, windows: Windows, batch: int) -> Iterator[tuple[Indices, Pixels]]:
    """Yield windows in the order in which they lie on the slide.

    The origin of a window is rounded to a whole pixel, its side is not. Where it is reduced, each
    pixel is a weighted mean of all that it covers (bilinear with antialiasing). Windows are
    sorted by chunk row, then by x, so that a chunk is decoded once.

    Parameters
    ----------
    slide
        Where they are read.
    windows
        Which.
    batch
        Largest number of windows given at once.

    Yields
    ------
    Rows of ``windows.centres_px``, shape (b,), and their pixels, shape (b, out_px, out_px, 3).

    Raises
    ------
    DataError
        When a window lies off the slide altogether, or spans too many pixels.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    side = windows.size_px * slide.scale
    if side > LARGEST_PX:
        raise DataError(
            f"A window is {side:.0f} px wide; at most {LARGEST_PX} are read.", "Check the scale of the image."
        )
    origins = np.floor(windows.centres_px * slide.scale - side / 2 + 0.5).astype(np.int64)
    _check_touching(slide, origins, side)
    order = _slide_order(origins, side, slide.chunk_px[0])
    for start in range(0, len(order), batch):
        indices = order[start : start + batch]
        yield indices, np.stack([_window(slide, origins[i], side, windows.out_px) for i in indices])


def _check_touching(slide: Slide, origins: Indices, side: float) -> None:
    height, width = slide.shape_px
    off = ((origins >= (width, height)) | (origins + side <= 0)).any(axis=1)
    if off.any():
        x, y = origins[off][0] + side / 2
        raise DataError(
            f"{int(off.sum())} of {len(origins)} windows lie off the slide of {width} × {height} px, "
            f"e.g. the one around x = {x:.0f}, y = {y:.0f}.",
            "Check the scale of the image, and that it belongs to this section.",
        )


def _slide_order(origins: Indices, side: float, tall: int) -> Indices:
    """By row of chunks (or of windows, when they are taller), then by x, then by y."""
    band = np.floor_divide(origins[:, 1], max(tall, int(np.ceil(side))))
    order: Indices = np.lexsort((origins[:, 1], origins[:, 0], band))
    return order


def _window(slide: Slide, origin: Indices, side: float, out_px: int) -> Pixels:
    whole = max(1, int(np.ceil(side)))
    pixels = slide.read(int(origin[0]), int(origin[1]), whole, whole)
    if whole == out_px == side:
        return pixels
    size, box = (out_px, out_px), (0.0, 0.0, side, side)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box))
