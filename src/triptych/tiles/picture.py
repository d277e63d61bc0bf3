"""JPEG and PNG, decoded whole."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import JpegImagePlugin, PngImagePlugin

from triptych.core.errors import DataError
from triptych.core.protocols import Pixels

# One decoded picture may take 1.5 GiB. The plug-ins are called directly because the limit of Pillow
# itself is a setting of the whole process.
LIMIT_PX: Final = 2**29
PLUGINS: Final = {"JPEG": JpegImagePlugin.JpegImageFile, "PNG": PngImagePlugin.PngImageFile}


def decode(path: Path, kind: str, limit_px: int = LIMIT_PX) -> Pixels:
    """All pixels of a picture, shape (height, width, 3).

    Parameters
    ----------
    path
        An existing file.
    kind
        ``JPEG`` or ``PNG``.
    limit_px
        Largest number of pixels that is decoded.

    Raises
    ------
    DataError
        When it is damaged, too large or not RGB.
    """
    try:
        with PLUGINS[kind](path) as image:
            width, height = image.size
            _check(path, image.mode, width * height, limit_px)
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"The image {path} is damaged ({error}).", "Copy or export it again.") from error
    return _opaque(path, pixels)


def _check(path: Path, mode: str, number: int, limit_px: int) -> None:
    if number > limit_px:
        raise DataError(
            f"The image {path} has {number / 1e6:.0f} million pixels; of a JPEG or PNG at most "
            f"{limit_px / 1e6:.0f} million are decoded.",
            "Convert it to a tiled TIFF, which is read region by region.",
        )
    if mode not in ("RGB", "RGBA"):
        raise DataError(
            f"The image {path} is not RGB but of Pillow's mode {mode}.", "Convert it to RGB of 8 bits."
        )


def _opaque(path: Path, pixels: Pixels) -> Pixels:
    """RGB; a fourth channel is dropped only if it says that every pixel is opaque."""
    if pixels.shape[2] == 4 and pixels[..., 3].min() < 255:
        raise DataError(f"The image {path} is transparent in places.", "Convert it to RGB on a white ground.")
    return pixels[..., :3]
