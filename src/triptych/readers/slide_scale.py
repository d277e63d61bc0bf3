"""Micrometres per pixel as the file of a slide says them."""

from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.extras import need
from triptych.readers.pictures import TIFF, VENDORS

SCANNERS: Final = (".svs", ".ndpi", *VENDORS)
UNIT_UM: Final = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4}  # of OME
TAG_UM: Final = {2: 25_400.0, 3: 10_000.0}  # ResolutionUnit of TIFF: inch, centimetre
SCANNED: Final = (0.02, 20.0)  # µm per pixel; programs write 72 or 300 dpi where nothing was measured
APART: Final = 0.01  # by which x and y may differ, and the file from what is given
Sides = tuple[float, float]


def slide_mpp(path: Path, given: float = 0.0) -> float:
    """Micrometres per full-resolution pixel.

    Parameters
    ----------
    path
        Of a slide.
    given
        By the user, which goes before what the file says; 0 for none.

    Raises
    ------
    DataError
        When neither says anything, or pixels are not square.
    """
    said = said_mpp(path)
    if given:
        if said and abs(said[0] - given) > APART * given:
            warnings.warn(
                f"{path.name} says that a pixel is {said[0]:.4g} µm wide; the mpp that is given, "
                f"{given:.4g}, goes before it.",
                TriptychWarning,
                stacklevel=2,
            )
        return given
    if said is None:
        raise DataError(
            f"The image {path} does not say how large its pixels are.",
            "Give the micrometres per pixel with --mpp, e.g. --mpp 0.5 for a scan at 20×.",
        )
    if abs(said[0] - said[1]) > APART * said[0]:
        raise DataError(
            f"The image {path} says that a pixel is {said[0]:.4g} µm wide and {said[1]:.4g} µm high.",
            "Pixels must be square: say with --mpp which it is, or resample the image.",
        )
    return float(np.sqrt(said[0] * said[1]))


def said_mpp(path: Path) -> Sides | None:
    """Width and height of a pixel in µm from the file's metadata; None where it has none to be trusted.

    Scanners' formats are asked through OpenSlide; a TIFF for its OME-XML, for the MPP that Aperio writes into
    the description, and for its tags, where these could be those of a microscope. JPEG and PNG have none.
    """
    suffix = path.suffix.lower()
    if suffix in SCANNERS:
        openslide = need("openslide", "slides")
        if openslide.OpenSlide.detect_format(path) is not None:
            return _of_vendor(openslide, path)
    if suffix not in TIFF:
        return None
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            page = tiff.pages.first
            return _of_ome(tiff.ome_metadata) or _of_aperio(page.description) or _of_tags(page)
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
        raise DataError(f"The image {path} cannot be read ({error}).", "Copy or export it again.") from error


def _of_vendor(openslide: Any, path: Path) -> Sides | None:
    try:
        with openslide.OpenSlide(path) as slide:
            return _sides(*(slide.properties.get(f"openslide.mpp-{axis}") for axis in "xy"))
    except openslide.OpenSlideError as error:
        raise DataError(
            f"The image {path} cannot be decoded ({error}).", "Copy or export it again."
        ) from error


def _of_ome(xml: str | None) -> Sides | None:
    """The first image's, read without parsing a document that may come from anyone."""
    pixels = re.search(r"<(?:\w+:)?Pixels\s([^>]*)>", xml or "")
    if not pixels:
        return None
    attributes = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', pixels[1]))
    units = [UNIT_UM.get(attributes.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XY"]
    return _sides(attributes.get("PhysicalSizeX"), attributes.get("PhysicalSizeY"), units)


def _of_aperio(description: str) -> Sides | None:
    found = re.search(r"\bMPP\s*=\s*([0-9.]+)", description or "")
    return _sides(found[1], found[1]) if found else None


def _of_tags(page: Any) -> Sides | None:
    tags = [page.tags.get(name) for name in ("ResolutionUnit", "XResolution", "YResolution")]
    if None in tags or int(tags[0].value) not in TAG_UM:
        return None
    unit = TAG_UM[int(tags[0].value)]
    (x, per_x), (y, per_y) = tags[1].value, tags[2].value
    sides = (unit * per_x / x, unit * per_y / y) if x and y else (0.0, 0.0)
    return sides if SCANNED[0] <= min(sides) and max(sides) <= SCANNED[1] else None


def _sides(x: Any, y: Any, units: Any = (1.0, 1.0)) -> Sides | None:
    """Positive numbers, or None."""
    if None in (x, y, *units):
        return None
    try:
        sides = float(x) * units[0], float(y) * units[1]
    except ValueError:
        return None
    return sides if np.isfinite(sides).all() and min(sides) > 0 else None
