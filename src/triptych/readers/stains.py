"""Stains beside a section: grey channels by name, and the matrix from its places to their pixels."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypedDict

import numpy as np
import tifffile
from PIL import JpegImagePlugin, PngImagePlugin

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.protocols import Matrix
from triptych.readers.pictures import JPEG, STORE, SUFFIXES, TIFF, VENDORS, image_size
from triptych.readers.sections import About

FORMATS: Final = tuple(suffix for suffix in SUFFIXES if suffix not in VENDORS)


class StainFields(TypedDict, total=False):
    """Fields of `triptych.readers.sections.About`."""

    stains: str
    stain_matrix: str


def stain_fields(stains: Mapping[str, str], matrix: Matrix) -> StainFields:
    """What a section says of its stains; nothing where it has none.

    Parameters
    ----------
    stains
        Name of a channel → its file, ``PATH`` or ``PATH::I``.
    matrix
        From places to pixels of the stains, shape (2, 3) or (3, 3).
    """
    if not stains:
        return {}
    rows = np.asarray(matrix, float)[:2].tolist()
    return {"stains": json.dumps(dict(stains), ensure_ascii=False), "stain_matrix": json.dumps(rows)}


def stains_of(about: About) -> dict[str, str]:
    """Name of each channel → its file.

    Raises
    ------
    DataError
        When the text is no such JSON, as only a table from elsewhere can have it.
    """
    try:
        found = json.loads(about.stains or "{}")
    except json.JSONDecodeError as error:
        raise DataError(f"its stains are no JSON ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(path, str) for path in found.values()):
        raise DataError("its stains are not names of channels with a file each")
    return found


def stain_size(stain: str) -> tuple[int, int]:
    """Width and height of a channel in pixels, from the header of its file.

    Parameters
    ----------
    stain
        ``PATH`` of one grey channel, or ``PATH::I`` for the page or channel I, from 0.

    Raises
    ------
    DataError
        When there is no such file or channel, or the file is damaged, not grey, or of another format.
    """
    path, _, part = stain.partition(STORE)
    name = Path(path).name
    number, size = planes(Path(path))
    if part and not (part.isdecimal() and int(part) < number):
        raise DataError(f"the stain {name}{STORE}{part} does not exist: I is 0 to {number - 1}")
    if not part and number > 1:
        raise DataError(f"the stain {name} has {number} channels: say which, e.g. {STORE}0")
    return size


def planes(path: Path) -> tuple[int, tuple[int, int]]:
    """How many grey pages or channels a file has, and their width and height; of a pyramid the finest.

    Raises
    ------
    DataError
        As `stain_size`.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"the stain {path.name} is not of a format that is read: {', '.join(FORMATS)}")
    size = image_size(str(path))
    if suffix in TIFF:
        return _pages(path)
    plugin = JpegImagePlugin.JpegImageFile if suffix in JPEG else PngImagePlugin.PngImageFile
    with plugin(path) as picture:  # Image.open would refuse large pictures
        if len(picture.getbands()) > 1:
            raise DataError(f"the stain {path.name} is not grey, but {picture.mode}")
    return 1, size


def _pages(path: Path) -> tuple[int, tuple[int, int]]:
    try:
        # each file of a set of OME-TIFF names the others, which are channels of their own
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            whole = tiff.series[0].levels[0]
            shape, axes, look = tuple(map(int, whole.shape)), str(whole.axes), whole.keyframe.photometric
    except (
        tifffile.TiffFileError, OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
        struct.error,
    ) as error:  # fmt: skip
        raise DataError(f"the image {path.name} cannot be read ({error})") from error
    if not axes.endswith("YX") or "S" in axes or look != tifffile.PHOTOMETRIC.MINISBLACK:
        raise DataError(f"the stain {path.name} is not grey, but of the axes {axes} and {look!s}")
    return math.prod(shape[:-2]), (shape[-1], shape[-2])


def inspect_stains(about: About, faults: Faults) -> None:
    """Note what is wrong with the stains of a section: their files, sizes, or the matrix to their pixels."""
    try:
        stains = stains_of(about)
    except DataError as error:
        faults.add(error.message)
        return
    sizes = {}
    for name, stain in stains.items():
        try:
            sizes[name] = stain_size(stain)
        except DataError as error:
            faults.add(f"stain {name}: {error.message}")
    if len(set(sizes.values())) > 1:
        words = listing(f"{name} {width} × {height}" for name, (width, height) in sizes.items())
        faults.add(f"its stains differ in size: {words} px")
    if stains:
        _inspect_matrix(about.stain_matrix, faults)


def _inspect_matrix(text: str, faults: Faults) -> None:
    try:
        matrix = np.array(json.loads(text), dtype=float)
    except (ValueError, TypeError) as error:
        faults.add(f"the matrix to the pixels of its stains is no JSON of numbers ({error})")
        return
    good = matrix.shape == (2, 3) and bool(np.isfinite(matrix).all())
    faults.check(good, f"the matrix to the pixels of its stains is not 2 × 3 numbers: {text}")
