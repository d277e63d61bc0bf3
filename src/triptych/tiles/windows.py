"""Windows of a slide, streamed so that each part of the slide is decoded once and few windows are held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from triptych.core.errors import DataError
from triptych.core.protocols import Indices, Matrix, Pixels, Vector
from triptych.tiles.ahead import ahead
from triptych.tiles.mosaic import kept_chunks
from triptych.tiles.slide import Slide

LARGEST_PX = 2**14
DEPTH = 4


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


def stream(
    slide: Slide, windows: Windows, batch: int, *, depth: int = DEPTH
) -> Iterator[tuple[Indices, Pixels]]:
    """Yield windows in the order in which they lie on the slide.

    The origin of a window is rounded to a whole pixel of the slide, its side is not. Where it is reduced,
    each pixel is a weighted mean of all that it covers (bilinear with antialiasing); where it is reduced by
    2 or more, it is read from the coarsest level of the slide that is still as fine as what is given.

    Windows are sorted by chunk row, then by x, within columns of the slide so narrow that the chunks of two
    of their rows (of more, where windows are taller than chunks) are kept. So every chunk is
    decoded once, except those that windows of two such columns share. A thread reads the next batches
    while one is consumed.

    Parameters
    ----------
    slide
        Where they are read.
    windows
        Which.
    batch
        Largest number of windows given at once.
    depth
        Batches that are read ahead.

    Yields
    ------
    Rows of ``windows.centres_px``, shape (b,), and their pixels, shape (b, out_px, out_px, 3).

    Raises
    ------
    DataError
        When a window lies off the slide altogether, or spans too many pixels.
    """
    if min(batch, depth) < 1:
        raise ValueError(f"batch and depth must be at least 1, got {batch} and {depth}")
    side = windows.size_px * slide.scale
    centres = windows.centres_px * slide.scale
    _check_touching(slide, _origins(centres, side), side)
    level = slide.level(side / windows.out_px)
    ratio = _ratio(slide, level)
    places: Matrix = _origins(centres, side) * ratio
    side = float(side * ratio.mean())
    if side > LARGEST_PX:
        raise DataError(
            f"A window is {side:.0f} px wide; at most {LARGEST_PX} are read.", "Check the scale of the image."
        )
    yield from ahead(_batches(level, places, side, windows.out_px, batch), depth)


def _ratio(slide: Slide, level: Slide) -> Vector:
    """Pixels of a level per pixel of the slide, along x and y; whole factors where a border was cut."""
    shapes = np.array([level.shape_px, slide.shape_px], np.float64)[:, ::-1]
    factor = np.round(shapes[1] / shapes[0])
    whole = np.abs(shapes[1] / factor - shapes[0]) <= 1
    return np.asarray(np.where(whole, 1 / factor, shapes[0] / shapes[1]))


def _origins(centres: Matrix, side: float) -> Indices:
    origins: Indices = np.floor(centres - side / 2 + 0.5).astype(np.int64)
    return origins


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


def _batches(
    slide: Slide, places: Matrix, side: float, out_px: int, batch: int
) -> Iterator[tuple[Indices, Pixels]]:
    origins = np.floor(places).astype(np.int64)
    parts = places - origins  # of a pixel of a coarser level; 0 on the slide itself
    whole = max(1, int(np.ceil(side + parts.max(initial=0))))
    enlarge = whole == side < out_px
    crop_px = (
        whole if enlarge else out_px
    )  # windows that are enlarged are small until all of a batch are read
    order = slide_order(origins, side, slide.chunk_px)
    for start in range(0, len(order), batch):
        indices = order[start : start + batch]
        pixels = np.empty((len(indices), crop_px, crop_px, 3), np.uint8)
        for one, (x0, y0), part in zip(pixels, origins[indices].tolist(), parts[indices], strict=True):
            crop = slide.read(x0, y0, whole, whole)
            one[:] = crop if whole == crop_px == side else _resized(crop, part, side, crop_px)
        yield indices, _enlarged(pixels, out_px) if enlarge else pixels


def _resized(pixels: Pixels, part: Vector, side: float, out_px: int) -> Pixels:
    """A square of the pixels that begins ``part`` of a pixel, x and y, after their first."""
    left, top = (float(one) for one in part)
    size, box = (out_px, out_px), (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box))


def _enlarged(pixels: Pixels, out_px: int) -> Pixels:
    """The same for all windows of a batch at once, which is several times as fast."""
    import torch

    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    larger = torch.nn.functional.interpolate(planes, (out_px, out_px), mode="bilinear", antialias=True)
    return np.ascontiguousarray(larger.permute(0, 2, 3, 1).numpy())


def slide_order(origins: Indices, side: float, chunk_px: tuple[int, int]) -> Indices:
    """The order in which windows are read.

    By column of the slide, then by row of chunks, then by x, then by y. A window reaches over ⌈side / chunk⌉
    more rows of chunks than the one it begins in. When all of these of one column of the slide are kept,
    each chunk is decoded once there.

    Parameters
    ----------
    origins
        Left and top of each window, shape (n, 2).
    side
        Of the windows.
    chunk_px
        Height and width of a chunk.
    """
    tall, wide = chunk_px
    rows, beyond = 1 + int(np.ceil(side / tall)), int(np.ceil(side / wide))
    across = max(1, kept_chunks(chunk_px) // rows - beyond - 1)
    x, y = np.maximum(origins, 0).T
    order: Indices = np.lexsort((y, x, y // tall, x // (wide * across)))
    return order
