"""How the pixels of a TIFF are written down: whether they can be decoded, and to RGB."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import tifffile

from triptych.core.errors import DataError, MissingExtraError

PLAIN: Final = 1  # neither compressed nor predicted
COLOURS: Final = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)  # the first: a page per colour
TURNED: Final = (  # compressions whose decoder turns YCbCr into RGB; that of JPEG 2000 does not
    tifffile.COMPRESSION.JPEG,
    tifffile.COMPRESSION.ALT_JPEG,
    tifffile.COMPRESSION.WEBP,
)


def check_coding(path: Path, page: Any) -> None:
    """Fail for what cannot be decoded to RGB.

    Parameters
    ----------
    path
        Of the file, for messages.
    page
        Of tifffile.

    Raises
    ------
    DataError
        When the colours are not RGB, or the compression is unknown.
    MissingExtraError
        When decoding takes imagecodecs, which is not installed.
    """
    turned = page.photometric == tifffile.PHOTOMETRIC.YCBCR and page.compression in TURNED
    if page.photometric not in COLOURS and not turned:
        raise DataError(
            f"The image {path} is not RGB: its colours are written as {_name(page.photometric)}.",
            "Export it as RGB of 8 bits.",
        )
    for code, known in (
        (page.compression, tifffile.TIFF.DECOMPRESSORS),
        (page.predictor, tifffile.TIFF.UNPREDICTORS),
    ):
        if code != PLAIN and not _decoded(code, known):
            _refuse(path, _name(code))


def _decoded(code: int, known: Any) -> bool:
    try:
        known[code]
    except KeyError:
        return False
    return True


def _refuse(path: Path, name: str) -> None:
    if find_spec("imagecodecs") is None:
        raise MissingExtraError(
            f"The image {path} is compressed as {name}, and imagecodecs is not installed.",
            "pip install 'triptych[slides]'",
        )
    raise DataError(
        f"The image {path} is compressed as {name}, which is not read.", "Convert it to a TIFF of JPEG tiles."
    )


def _name(code: Any) -> str:
    return str(getattr(code, "name", code))
