"""Stains of a Xenium bundle: the instrument's own images, one channel each, or one image of the nuclei."""

from __future__ import annotations

import html
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import tifffile

from triptych.core.errors import DataError
from triptych.readers.pictures import STORE
from triptych.readers.stains import planes

IMAGES: Final = (  # best focus before all depths, versions 4, 2 and 1
    "morphology_focus/ch[0-9]*.ome.tif",
    "morphology_focus/morphology_focus_[0-9]*.ome.tif",
    "morphology_focus.ome.tif",
    "morphology_mip.ome.tif",
    "morphology.ome.tif",
)
NUMBER: Final = re.compile(r"(?:ch|morphology_focus_)(\d+)(?:_(.+))?\.ome\.tif")
CHANNEL: Final = re.compile(r"<(?:\w+:)?Channel\b[^>]*>")
NAME: Final = re.compile(r"\bName=\"([^\"]*)\"")
NUCLEI: Final = "DAPI"


def images_of(folder: Path) -> tuple[Path, ...]:
    """The images of the best kind that there is."""
    kinds = (tuple(sorted(folder.glob(pattern))) for pattern in IMAGES)
    return next((files for files in kinds if files), ())


def named(files: Sequence[Path]) -> dict[str, str]:
    """Name of each channel → its file.

    A channel is called as the OME header of its file calls it, else by the words in the name of the file; a
    single image is one of the nuclei, of a stack the middle page.

    Parameters
    ----------
    files
        What `images_of` found.
    """
    if len(files) == 1 and NUMBER.fullmatch(files[0].name) is None:
        return {NUCLEI: f"{files[0].resolve()}{_middle(files[0])}"}
    stains: dict[str, str] = {}
    for file in files:
        name = _name(file)
        name = name if name not in stains else f"{name} {len(stains)}"
        stains[name] = str(file.resolve())
    return stains


def _name(file: Path) -> str:
    match = NUMBER.fullmatch(file.name)
    number, words = (int(match[1]), match[2] or "") if match else (0, "")
    names = _names(file)
    known = names[0] if len(names) == 1 else names[number] if number < len(names) else ""
    return known or (NUCLEI if number == 0 else words or f"channel {number}")


def _middle(file: Path) -> str:
    try:
        number, _ = planes(file)
    except DataError:
        return ""  # the door tells what is wrong with it
    return f"{STORE}{number // 2}" if number > 1 else ""


def _names(file: Path) -> list[str]:
    """Names of the channels in the OME header, of a set of files all of them; of a damaged file none."""
    try:
        with tifffile.TiffFile(file) as tiff:
            text = tiff.pages.first.description
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error):
        return []
    found = (NAME.search(channel) for channel in CHANNEL.findall(text))
    return [html.unescape(match[1]).strip() if match else "" for match in found]
