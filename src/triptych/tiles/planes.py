"""Grey planes: one stain of a section as an array of two dimensions, mapped from a file where it can be."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from triptych.core.checks import nearest
from triptych.core.errors import CacheError, DataError
from triptych.tiles.picture import LIMIT_PX, PLUGINS
from triptych.tiles.slide import STORE, kind_of
from triptych.tiles.tiff_planes import (
    BAND_BYTES,
    NONSENSE,
    Grey,
    Plane,
    chosen,
    decoding,
    not_grey,
    tiff_plane,
)

REVISION: Final = 1  # of the decoded planes that a scratch folder keeps
MODES: Final = {"L": "uint8", "I;16": "uint16", "I;16B": "uint16", "I": "uint16"}  # the last: older Pillow
DRAFT: Final = ".draft-"


def open_plane(reference: str, scratch: Path | None = None) -> Grey:
    """One plane of grey values.

    Parameters
    ----------
    reference
        Path of a TIFF, OME-TIFF, ImageJ stack, or grey PNG or JPEG; ``PATH::I`` for page or channel I, from
        0, of a TIFF with several. Of a pyramid the finest level is taken.
    scratch
        Folder in which planes that have to be decoded are kept, as memory maps; None decodes into memory.

    Returns
    -------
    Array of shape (h, w) of the file's own type, memory-mapped and read-only unless it was decoded into
    memory. Values that are mapped from the file itself keep its order of bytes.

    Raises
    ------
    DataError
        When there is no such file or plane, it is damaged, or it is not grey.
    MissingExtraError
        When decoding takes imagecodecs, which is not installed.
    CacheError
        When the scratch folder cannot be written.
    """
    path, number = _parsed(reference)
    with _opened(path, number) as plane:
        if plane.stored is not None:
            offset, dtype = plane.stored
            return np.memmap(path, dtype, mode="r", offset=offset, shape=plane.shape_px)
        if scratch is None:
            return _in_memory(plane)
        return _kept(plane, _place(scratch, path, number))


def planes_shape(reference: str) -> tuple[int, int]:
    """Height and width of a plane, which is not decoded.

    Parameters
    ----------
    reference
        As of `open_plane`, whose errors are raised.
    """
    path, number = _parsed(reference)
    with _opened(path, number) as plane:
        return plane.shape_px


def _parsed(reference: str) -> tuple[Path, int | None]:
    name, mark, number = reference.rpartition(STORE) if STORE in reference else (reference, "", "")
    path = Path(name)
    if mark and not number.isdecimal():
        raise DataError(
            f"{reference} names no plane.", f"After {STORE} stands the number of a page or channel, from 0."
        )
    if not path.is_file():
        beside = sorted(file.name for file in path.parent.iterdir()) if path.parent.is_dir() else []
        raise DataError(f"The image {path} does not exist.", nearest(path.name, beside))
    return path, int(number) if mark else None


@contextmanager
def _opened(path: Path, number: int | None) -> Iterator[Plane]:
    """The plane of a file that stays open inside the block."""
    with decoding(path):
        kind = _kind(path)
        if kind != "TIFF":
            with PLUGINS[kind](path) as image:
                yield _of_picture(path, image, number)
            return
        with decoding(path, *NONSENSE):
            # an OME-TIFF may name other files as parts of its own; they are other references, not opened here
            tiff = tifffile.TiffFile(path, _multifile=False)
        with tiff:
            with decoding(path, *NONSENSE):
                plane = tiff_plane(path, tiff, number)
            yield plane


def _kind(path: Path) -> str:
    try:
        return kind_of(path)
    except DataError as error:
        raise DataError(error.message, "Convert it to a grey TIFF.") from error


def _of_picture(path: Path, image: Any, number: int | None) -> Plane:
    width, height = image.size
    if image.mode not in MODES:
        raise not_grey(path, f"of Pillow's mode {image.mode}")
    if width * height > LIMIT_PX:
        raise DataError(
            f"The image {path} has {width * height / 1e6:.0f} million pixels; of a PNG or JPEG at most "
            f"{LIMIT_PX / 1e6:.0f} million are decoded.",
            "Convert it to a tiled grey TIFF.",
        )
    chosen(path, number, 1, "")
    dtype = np.dtype(MODES[image.mode])

    def bands() -> Iterator[Grey]:
        step = max(1, BAND_BYTES // (width * dtype.itemsize))
        for top in range(0, height, step):
            with decoding(path):
                band = np.asarray(image.crop((0, top, width, min(top + step, height))))
            yield band

    return Plane((height, width), dtype, bands)


def _in_memory(plane: Plane) -> Grey:
    out, top = None, 0
    for band in plane.bands():
        if len(band) == plane.shape_px[0]:  # decoded at once, and not copied
            return np.ascontiguousarray(band, plane.dtype)
        out = np.empty(plane.shape_px, plane.dtype) if out is None else out
        out[top : top + len(band)] = band
        top += len(band)
    return np.empty(plane.shape_px, plane.dtype) if out is None else out


def _place(scratch: Path, path: Path, number: int | None) -> Path:
    """Where a decoded plane is kept: a changed file has another place."""
    about = path.stat()
    facts = [REVISION, str(path.resolve()), about.st_size, about.st_mtime_ns, number or 0]
    return scratch / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.npy"


def _kept(plane: Plane, place: Path) -> Grey:
    grey = _mapped(plane, place)
    if grey is not None:
        return grey
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(plane, place)
    except OSError as error:
        raise CacheError(
            f"Decoded planes cannot be written to {place.parent}: {error.strerror or error}.",
            "Make room there, or name another folder.",
        ) from error
    grey = _mapped(plane, place)
    if grey is None:
        raise CacheError(f"{place} was changed while it was read.", "Start again.")
    return grey


def _mapped(plane: Plane, place: Path) -> Grey | None:
    """What is kept; None when there is nothing, or something else."""
    try:
        grey: Grey = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return grey if (grey.shape, grey.dtype) == (plane.shape_px, plane.dtype) else None


def _write(plane: Plane, place: Path) -> None:
    """Write rows as they are decoded, beside the place, and rename."""
    handle, name = tempfile.mkstemp(prefix=DRAFT, dir=place.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.lib.format.write_array_header_1_0(
                file,
                {
                    "descr": np.lib.format.dtype_to_descr(plane.dtype),
                    "fortran_order": False,
                    "shape": plane.shape_px,
                },
            )
            for band in plane.bands():
                file.write(np.ascontiguousarray(band, plane.dtype).data)
        draft.chmod(0o644)  # mkstemp keeps others out
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
