"""Pictures of labels: the number of a nucleus in each pixel, and a table of the nuclei's types beside."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import tifffile
from PIL import PngImagePlugin

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.nuclei import Instances
from triptych.readers.delimited import need_columns, readable

TIFF: Final = (".tif", ".tiff")
FORMATS: Final = (".png", *TIFF)  # lossless: JPEG would blur numbers into others
COLUMNS: Final = ("instance", "type")
LARGEST: Final = np.iinfo(np.int32).max


def label_picture(path: Path) -> Instances:
    """Read a picture of labels, shape (h, w).

    Raises
    ------
    DataError
        When the file is missing, damaged, not one layer of whole numbers from 0, or of another format.
    """
    if path.suffix.lower() not in FORMATS:
        raise DataError(
            f"the picture of labels {path.name} is not of a format without loss: {listing(FORMATS)}"
        )
    values = _tiff(path) if path.suffix.lower() in TIFF else _png(path)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DataError(
            f"the picture of labels {path.name} has shape {values.shape} and type {values.dtype}, "
            "not one whole number for each pixel"
        )
    if values.size and (values.min() < 0 or values.max() > LARGEST):
        raise DataError(
            f"the numbers of {path.name} go from {values.min()} to {values.max()}, not from 0 to {LARGEST}"
        )
    return values.astype(np.int32)


def types_beside(path: Path) -> dict[int, str]:
    """The type of each nucleus of a picture whose type is known, from a table of instance and type.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, a number that is none, or a nucleus twice.
    """
    with readable(path):
        try:
            frame = pd.read_csv(path, dtype={"type": str})
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"the file {path.name} is no table ({error})") from error
    need_columns(frame, COLUMNS, path)
    number = pd.to_numeric(frame["instance"], errors="coerce")
    odd = ~(number % 1 == 0) | (number < 1)
    if odd.any():
        raise DataError(
            f"{int(odd.sum())} values of instance in {path.name} are no numbers of nuclei, from 1 on: "
            f"{listing(frame['instance'][odd].astype(str), 3)}"
        )
    doubles = number[number.duplicated()].unique()
    if len(doubles):
        raise DataError(
            f"{len(doubles)} nuclei are there more than once in {path.name}: "
            f"{listing((f'{value:.0f}' for value in doubles), 3)}"
        )
    kind = frame["type"].str.strip()
    known = kind.notna() & (kind != "")
    return dict(zip(number[known].astype(int).tolist(), kind[known], strict=True))


def _png(path: Path) -> np.ndarray[Any, Any]:
    # the plug-in is called directly: Image.open would refuse large pictures
    with readable(path):
        try:
            with PngImagePlugin.PngImageFile(path) as picture:
                return np.asarray(picture)
        except FileNotFoundError:
            raise
        except (SyntaxError, OSError, ValueError, struct.error) as error:
            raise DataError(f"the picture of labels {path.name} cannot be read ({error})") from error


def _tiff(path: Path) -> np.ndarray[Any, Any]:
    with readable(path):
        try:
            with tifffile.TiffFile(path) as tiff:
                pages = len(tiff.series[0].pages)
                values: np.ndarray[Any, Any] = tiff.pages.first.asarray()  # of a pyramid the finest
        except FileNotFoundError:
            raise
        except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
            raise DataError(f"the picture of labels {path.name} cannot be read ({error})") from error
    if pages > 1:
        raise DataError(f"the picture of labels {path.name} has {pages} pages, not one")
    return values
