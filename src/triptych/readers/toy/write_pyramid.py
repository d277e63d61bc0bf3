"""Images as tiled OME-TIFF with a pyramid, written tile by tile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np
import tifffile
from numpy.typing import NDArray

from triptych.core.protocols import Pixels
from triptych.readers.toy.bundle import Picture

TILE: Final = 512
SMALLEST: Final = 256  # side below which there are no more levels


def write_picture(path: Path, picture: Picture) -> None:
    """Write a stained image; only its second level and the ones below are ever whole in memory.

    Parameters
    ----------
    path
        Ends in ``.ome.tif``.
    picture
        Is asked for each of its tiles once.
    """
    height, width = picture.shape_px
    half = np.empty((height // 2, width // 2, 3), np.uint8)
    levels = max(0, int(np.log2(max(min(height, width) // SMALLEST, 1))))
    common: dict[str, Any] = {"photometric": "rgb", "tile": (TILE, TILE), "compression": "zlib"}
    common["compressionargs"] = {"level": 1}
    with tifffile.TiffWriter(path, ome=True, bigtiff=height * width * 3 > 2**31) as tiff:
        tiff.write(
            _tiles(picture, half),
            shape=(height, width, 3),
            dtype=np.uint8,
            subifds=levels,
            metadata={"axes": "YXS", **_physical(path.name, picture.mpp)},
            **common,
        )
        level = half
        for _ in range(levels):
            tiff.write(level, subfiletype=1, **common)
            level = halved(level)


def write_grey(path: Path, pixels: NDArray[np.uint16], mpp: float) -> None:
    """Write a grey image of 16 bits, one level.

    Parameters
    ----------
    path
        Ends in ``.ome.tif``.
    pixels
        Shape (height, width).
    mpp
        Micrometres per pixel.
    """
    metadata = {"axes": "YX", **_physical(path.name, mpp)}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(pixels, photometric="minisblack", tile=(TILE, TILE), compression="zlib", metadata=metadata)


def halved(pixels: Pixels) -> Pixels:
    """Means of two by two pixels; an odd last row or column is left out."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    even = pixels[:height, :width].astype(np.uint16)
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


def _tiles(picture: Picture, half: Pixels) -> Iterator[Pixels]:
    """Tiles in reading order, padded to their full size; each also fills its part of the second level."""
    height, width = picture.shape_px
    for row in range(0, height, TILE):
        for column in range(0, width, TILE):
            size = min(TILE, height - row), min(TILE, width - column)
            pixels = picture.tile(row, column, *size)
            small = halved(pixels)
            top, left = row // 2, column // 2
            half[top : top + small.shape[0], left : left + small.shape[1]] = small
            padding = [(0, TILE - size[0]), (0, TILE - size[1]), (0, 0)]
            yield np.pad(pixels, padding) if size != (TILE, TILE) else pixels


def _physical(name: str, mpp: float) -> dict[str, Any]:
    unique = UUID(hashlib.sha256(name.encode()).hexdigest()[:32])  # else it would be drawn at random
    return {
        "UUID": f"urn:uuid:{unique}",
        "PhysicalSizeX": mpp,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": mpp,
        "PhysicalSizeYUnit": "µm",
    }
