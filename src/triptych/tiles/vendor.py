"""Slides of scanners' own formats, by way of OpenSlide."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.protocols import Pixels
from triptych.tiles.mosaic import Mosaic
from triptych.tiles.slide import WHITE, Slide, coarser_levels, kind_of

TILES_PX: Final = 512  # smaller tiles of the file are decoded together, as each call has its price


def vendor_slide(path: Path, scale: float) -> Slide:
    """A slide that OpenSlide recognises, with its levels.

    Parameters
    ----------
    path
        An existing file. A plain TIFF that only bears the suffix of a scanner is read as a TIFF.
    scale
        As of `Slide`.

    Raises
    ------
    DataError
        When it is damaged or of no format that is read.
    MissingExtraError
        When openslide is not installed.
    """
    openslide = need("openslide", "slides")
    if openslide.OpenSlide.detect_format(path) is None:
        if kind_of(path) == "TIFF":
            from triptych.tiles.tiff import tiff_slide

            return tiff_slide(path, scale)
        raise DataError(
            f"The image {path} is no slide that OpenSlide recognises.",
            "Copy all of its files again: of some formats (.mrxs, .vms) they lie beside it or in a folder "
            "of the same name.",
        )
    try:
        opened = openslide.OpenSlide(path)
        levels = [_level(openslide, path, opened, level, scale) for level in range(opened.level_count)]
    except openslide.OpenSlideError as error:
        raise _damaged(path, error) from error
    return coarser_levels(levels[0], levels[1:])


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"The image {path} cannot be decoded ({error}).", "Copy or export it again.")


def _level(openslide: Any, path: Path, opened: Any, level: int, scale: float) -> Slide:
    width, height = opened.level_dimensions[level]
    down = opened.level_downsamples[level]
    chunk_px = (_side(opened, level, "height"), _side(opened, level, "width"))
    tall, wide = chunk_px

    def decode(row: int, column: int) -> Pixels:
        size = (min(wide, width - column * wide), min(tall, height - row * tall))
        corner = (round(column * wide * down), round(row * tall * down))
        try:
            return _on_white(np.asarray(opened.read_region(corner, level, size)))
        except openslide.OpenSlideError as error:
            raise _damaged(path, error) from error

    return Slide((height, width), Mosaic((height, width), chunk_px, decode).region, scale, chunk_px)


def _side(opened: Any, level: int, side: str) -> int:
    """Height or width of a chunk: whole tiles of the file."""
    tile = int(opened.properties.get(f"openslide.level[{level}].tile-{side}", TILES_PX))
    return tile * max(1, TILES_PX // tile)


def _on_white(pixels: Pixels) -> Pixels:
    """RGB on white ground; scanners leave out what holds no tissue."""
    opacity = pixels[..., 3:]
    if opacity.min() == WHITE:
        return np.ascontiguousarray(pixels[..., :3])
    share = opacity.astype(np.float32) / WHITE
    return np.rint(pixels[..., :3] * share + WHITE * (1 - share)).astype(np.uint8)
