"""Grey planes of TIFF and OME-TIFF: where they lie in the file, or how they are decoded row by row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from triptych.core.errors import DataError, TriptychError
from triptych.tiles.slide import STORE
from triptych.tiles.tiff import DAMAGE
from triptych.tiles.tiff_coding import check_coding

Grey: TypeAlias = NDArray[Any]  # (h, w)
BAND_BYTES: Final = 2**25  # of the rows that are decoded at once, where chunks are no larger
CHUNK_PX: Final = 2**32  # a larger one is nonsense, or would have to be decoded at once
THREADS: Final = 4
NONSENSE: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
)  # what tifffile makes of bad headers


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane that was found in an open file and not yet read.

    Parameters
    ----------
    shape_px
        Height and width.
    dtype
        Of the grey values, in the order of bytes of this machine.
    bands
        Gives its rows from the first to the last, some at a time, shape (some, w).
    stored
        Offset and type of values that lie in the file as in memory; None where they do not.
    """

    shape_px: tuple[int, int]
    dtype: np.dtype[Any]
    bands: Callable[[], Iterator[Grey]]
    stored: tuple[int, np.dtype[Any]] | None = None


@contextmanager
def decoding(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turn what decoders raise inside the block, and ``more``, into a DataError that names the file."""
    try:
        yield
    except (*DAMAGE, SyntaxError, *more) as error:  # SyntaxError comes from Pillow and from parsers of XML
        if isinstance(error, TriptychError):
            raise
        raise DataError(
            f"The image {path} cannot be decoded ({error}).", "Copy or export it again."
        ) from error


def tiff_plane(path: Path, tiff: Any, number: int | None) -> Plane:
    """A plane of the first picture of a TIFF.

    Parameters
    ----------
    path
        Of the file, for messages.
    tiff
        The file, open, of tifffile.
    number
        Of the plane, from 0, counted in the order of the file; None where there is but one.

    Raises
    ------
    DataError
        When there is no such plane, it is not grey, or it is not all there.
    MissingExtraError
        When decoding takes imagecodecs, which is not installed.
    """
    if not tiff.series:
        raise DataError(f"The image {path} holds no picture.", "Copy or export it again.")
    series = tiff.series[0].levels[0]
    axes, shape = str(series.axes), tuple(int(side) for side in series.shape)
    facts = f"it has the axes {axes} of shape {shape}"
    keyframe = series.keyframe
    if keyframe.photometric != tifffile.PHOTOMETRIC.MINISBLACK:
        name = getattr(keyframe.photometric, "name", keyframe.photometric)
        raise not_grey(path, f"written as {name}: {facts}")
    dtype = np.dtype(series.dtype).newbyteorder("=")
    if not axes.endswith("YX") or "S" in axes or 0 in shape or dtype.kind not in "uif":
        raise not_grey(path, f"no planes of numbers: {facts} and type {series.dtype}")
    check_coding(path, keyframe)
    planes = int(np.prod(shape[:-2], dtype=np.int64))
    index = chosen(path, number, planes, facts)
    size = (shape[-2], shape[-1])
    nbytes = size[0] * size[1] * dtype.itemsize
    if series.dataoffset is not None:
        return _stored(path, tiff, size, dtype, int(series.dataoffset) + index * nbytes)
    page = series.pages[index] if len(series.pages) == planes else None
    if page is None or (int(keyframe.imagelength), int(keyframe.imagewidth)) != size:
        raise DataError(
            f"The planes of the image {path} do not lie in a page each: {facts} in "
            f"{sum(one is not None for one in series.pages)} pages.",
            "Export each channel by itself as a grey TIFF.",
        )
    page = page.aspage()
    if page.is_final:
        return _stored(path, tiff, size, dtype, int(page.dataoffsets[0]))
    _check_chunks(path, page)
    return Plane(size, dtype, lambda: _bands(path, tiff.filehandle, page, dtype))


def not_grey(path: Path, found: str) -> DataError:
    """The refusal of a picture that is no grey plane, with what it is."""
    return DataError(
        f"The image {path} is not grey, but {found}.",
        "A stain is one plane: export each channel as a grey TIFF.",
    )


def chosen(path: Path, number: int | None, planes: int, facts: str) -> int:
    """The plane that is meant, from 0.

    Parameters
    ----------
    path, facts
        For messages.
    number
        That was asked for, or None.
    planes
        How many there are.

    Raises
    ------
    DataError
        When there are several and none is named, or fewer than the number named.
    """
    having = f"The image {path} holds {planes} plane{'s' * (planes > 1)}" + (f" ({facts})" if facts else "")
    if number is None and planes > 1:
        raise DataError(
            f"{having}, and none is chosen.", f"Name one: {path}{STORE}0 … {path}{STORE}{planes - 1}."
        )
    if (number or 0) >= planes:
        raise DataError(f"{having}, and number {number} is asked for.", f"Choose from 0 … {planes - 1}.")
    return number or 0


def _stored(path: Path, tiff: Any, size: tuple[int, int], dtype: np.dtype[Any], offset: int) -> Plane:
    if offset + size[0] * size[1] * dtype.itemsize > path.stat().st_size:
        raise _cut_short(path)
    return Plane(size, dtype, lambda: iter(()), (offset, dtype.newbyteorder(tiff.byteorder)))


def _cut_short(path: Path) -> DataError:
    return DataError(f"The image {path} is cut short: its pixels go on behind its end.", "Copy it again.")


def _chunk_px(page: Any) -> tuple[int, int]:
    height, width = int(page.imagelength), int(page.imagewidth)
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return min(int(page.rowsperstrip), height), width


def _check_chunks(path: Path, page: Any) -> None:
    """Refuse a page whose chunks are not all there; decoders would fill them up without a word."""
    tall, wide = _chunk_px(page)
    if tall * wide > CHUNK_PX:
        raise DataError(
            f"The image {path} is compressed in chunks of {wide} × {tall} px, too large to be read.",
            "Convert it to a TIFF with tiles of 512 × 512 px.",
        )
    wanted = -(-int(page.imagelength) // tall) * -(-int(page.imagewidth) // wide)
    ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.float64)
    if len(page.dataoffsets) != len(page.databytecounts) or len(ends) != wanted:
        raise DataError(
            f"The image {path} is damaged: it lists {len(page.dataoffsets)} of {wanted} tiles or strips.",
            "Copy or export it again.",
        )
    if ends.max() > path.stat().st_size:
        raise _cut_short(path)


def _bands(path: Path, file: Any, page: Any, dtype: np.dtype[Any]) -> Iterator[Grey]:
    """Rows of chunks, decoded some at a time; chunks that the file leaves out are zero."""
    height, width = int(page.imagelength), int(page.imagewidth)
    tall, wide = _chunk_px(page)
    across = -(-width // wide)
    step = max(1, BAND_BYTES // (tall * across * wide * dtype.itemsize)) * tall

    def decode(data: bytes, index: int) -> Grey | None:
        if not data:
            return None
        decoded, *_ = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        grey: Grey = decoded[0, :, :, 0]
        return grey

    with decoding(path), ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for top in range(0, height, step):
            rows = min(step, height - top)
            chunks = range(top // tall * across, -(-(top + rows) // tall) * across)
            parts = pool.map(decode, [_read(path, file, page, k) for k in chunks], chunks)
            found = list(parts)
            if len(found) == 1 and (only := found[0]) is not None:
                yield only[:rows, :width]  # a picture of one strip is not copied
                continue
            band = np.zeros((rows, width), dtype)
            for index, grey in zip(chunks, found, strict=True):
                y, x = (index // across) * tall - top, (index % across) * wide
                if grey is not None:
                    band[y : y + tall, x : x + wide] = grey[: rows - y, : width - x]
            yield band


def _read(path: Path, file: Any, page: Any, index: int) -> bytes:
    """One chunk as it lies in the file; nothing when the file leaves it out."""
    size = int(page.databytecounts[index])
    if size == 0 or page.dataoffsets[index] == 0:
        return b""
    file.seek(page.dataoffsets[index])
    data: bytes = file.read(size)
    if len(data) < size:
        raise _cut_short(path)
    return data
