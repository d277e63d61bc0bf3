"""TIFF and OME-TIFF of any size: only the tiles or strips that a region touches are read and decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from triptych.core.errors import DataError, TriptychError
from triptych.core.protocols import Pixels
from triptych.tiles.mosaic import Mosaic
from triptych.tiles.slide import WHITE, Slide, coarser_levels
from triptych.tiles.tiff_coding import check_coding

CHUNK_PX: Final = 2**27  # a larger compressed chunk would have to be decoded at once
DAMAGE: Final = (
    tifffile.TiffFileError,
    OSError,
    ValueError,
    IndexError,
    struct.error,
    RuntimeError,
    zlib.error,
)


def tiff_slide(path: Path, scale: float) -> Slide:
    """The first image of a TIFF with the levels of its pyramid.

    Parameters
    ----------
    path
        An existing file; its axes may be YXS, SYX or CYX.
    scale
        As of `Slide`.

    Raises
    ------
    DataError
        When it is damaged or not RGB of 8 bits, or its chunks are too large to read it by region.
    MissingExtraError
        When it is compressed in a way that takes imagecodecs, which is not installed.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            first, *others = tiff.series[0].levels
            slide = _level(path, first, scale)
            return coarser_levels(slide, [_level(path, level, scale) for level in others])
    except DAMAGE as error:
        if isinstance(error, TriptychError):
            raise
        raise _damaged(path, error) from error


def _level(path: Path, series: Any, scale: float) -> Slide:
    _check(path, series.axes, tuple(series.shape), series.dtype)
    check_coding(path, series.keyframe)
    if series.dataoffset is not None:
        return _mapped(path, series.axes, tuple(series.shape), int(series.dataoffset), scale)
    return _tiled(path, [_Page.of(page) for page in series.pages], scale)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"The image {path} cannot be decoded ({error}).", "Copy or export it again.")


def _check(path: Path, axes: str, shape: tuple[int, ...], dtype: Any) -> None:
    colour = {"YXS": 2, "SYX": 0, "CYX": 0}.get(axes)
    if colour is None or shape[colour] != 3 or dtype != np.uint8:
        raise DataError(
            f"The image {path} is not RGB: it has the axes {axes} of shape {shape} and type {dtype}.",
            "Export it as RGB of 8 bits.",
        )


def _mapped(path: Path, axes: str, shape: tuple[int, ...], offset: int, scale: float) -> Slide:
    """Pixels that lie in the file as in memory."""
    if offset + int(np.prod(shape)) > path.stat().st_size:
        raise DataError(f"The image {path} is cut short: its pixels go on behind its end.", "Copy it again.")
    stored = np.memmap(path, np.uint8, "r", offset, shape)
    pixels = stored if axes == "YXS" else np.moveaxis(stored, 0, -1)

    def region(x0: int, y0: int, width: int, height: int) -> Pixels:
        return np.ascontiguousarray(pixels[y0 : y0 + height, x0 : x0 + width])

    return Slide((pixels.shape[0], pixels.shape[1]), region, scale)


@dataclass(frozen=True, eq=False)
class _Page:
    """What decoding a chunk of a page needs, so that the file can be closed meanwhile."""

    shape_px: tuple[int, int]
    chunk_px: tuple[int, int]
    planes: int  # colours that lie apart: 3, or 1 when they alternate
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    decode: Callable[..., Any]
    tables: bytes | None
    header: bytes | None

    @classmethod
    def of(cls, page: Any) -> _Page:
        page = page.aspage()
        height, width = int(page.imagelength), int(page.imagewidth)
        chunk = (
            (int(page.tilelength), int(page.tilewidth)) if page.is_tiled else (int(page.rowsperstrip), width)
        )
        apart = page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
        return cls(
            (height, width),
            (min(chunk[0], height) if not page.is_tiled else chunk[0], chunk[1]),
            int(page.samplesperpixel) if apart else 1,
            tuple(page.dataoffsets),
            tuple(page.databytecounts),
            page.decode,
            page.jpegtables,
            page.jpegheader,
        )

    def chunk(self, path: Path, index: int) -> Pixels:
        """One chunk, shape (h, w, samples); white when the file leaves it out."""
        size = self.sizes[index]
        if size == 0:
            return np.full((*self.chunk_px, 1), WHITE, np.uint8)
        try:
            with path.open("rb") as file:
                file.seek(self.offsets[index])
                data = file.read(size)
            if len(data) < size:
                raise DataError(
                    f"The image {path} is cut short: its pixels go on behind its end.", "Copy it again."
                )
            decoded = self.decode(data, index, jpegtables=self.tables, jpegheader=self.header)[0]
        except DAMAGE as error:
            if isinstance(error, DataError):
                raise
            raise _damaged(path, error) from error
        pixels: Pixels = np.asarray(decoded)[0]
        return pixels


def _tiled(path: Path, pages: list[_Page], scale: float) -> Slide:
    """A slide of one page with three colours, or of three pages with one each."""
    first = pages[0]
    (height, width), (tall, wide) = first.shape_px, first.chunk_px
    if tall * wide > CHUNK_PX:
        raise DataError(
            f"The image {path} is compressed in chunks of {wide} × {tall} px, too large to be read.",
            "Convert it to a TIFF with tiles of 512 × 512 px.",
        )
    across = -(-width // wide)
    per_plane = across * -(-height // tall)

    def decode(row: int, column: int) -> Pixels:
        index = row * across + column
        planes = [page.chunk(path, k * per_plane + index) for page in pages for k in range(page.planes)]
        if len(planes) == 1:
            return np.broadcast_to(planes[0], (*planes[0].shape[:2], 3))
        return np.concatenate(planes, axis=2)

    mosaic = Mosaic(first.shape_px, first.chunk_px, decode)
    return Slide(first.shape_px, mosaic.region, scale, first.chunk_px)
