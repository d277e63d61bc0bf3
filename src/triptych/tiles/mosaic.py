"""A picture stored in chunks, of which only those that a region touches are decoded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from triptych.core.protocols import Pixels

KEPT_BYTES = 256 * 2**20  # decoded chunks that are kept for the next region


def kept_chunks(chunk_px: tuple[int, int]) -> int:
    """How many chunks of a height and width are kept."""
    return max(4, KEPT_BYTES // (3 * chunk_px[0] * chunk_px[1]))


class Mosaic:
    """Regions assembled from chunks.

    Parameters
    ----------
    shape_px
        Height and width of the picture.
    chunk_px
        Height and width of a chunk; those at the right and lower border may be smaller or padded.
    decode
        Row and column of a chunk → its pixels, shape (h, w, 3).
    """

    def __init__(
        self, shape_px: tuple[int, int], chunk_px: tuple[int, int], decode: Callable[[int, int], Pixels]
    ) -> None:
        self.shape_px = shape_px
        self.chunk_px = chunk_px
        self.chunk = lru_cache(kept_chunks(chunk_px))(decode)

    def region(self, x0: int, y0: int, width: int, height: int) -> Pixels:
        """A region that lies inside the picture, shape (height, width, 3)."""
        out = np.empty((height, width, 3), np.uint8)
        tall, wide = self.chunk_px
        for row in range(y0 // tall, -(-(y0 + height) // tall)):
            for column in range(x0 // wide, -(-(x0 + width) // wide)):
                top, left = max(y0, row * tall), max(x0, column * wide)
                bottom, right = min(y0 + height, (row + 1) * tall), min(x0 + width, (column + 1) * wide)
                chunk = self.chunk(row, column)
                out[top - y0 : bottom - y0, left - x0 : right - x0] = chunk[
                    top - row * tall : bottom - row * tall, left - column * wide : right - column * wide
                ]
        return out
