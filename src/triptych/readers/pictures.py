"""The size of an image from its header, and whether the file ends where it should; no pixel is decoded."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import h5py
import tifffile
from PIL import JpegImagePlugin, PngImagePlugin

from triptych.core.errors import DataError
from triptych.core.extras import need

STORE: Final = "::"  # between a store and the image inside it
JPEG: Final = (".jpg", ".jpeg")
TIFF: Final = (".tif", ".tiff", ".svs", ".ndpi", ".btf", ".qptiff")  # whose first page is the slide itself
VENDORS: Final = (".scn", ".mrxs", ".bif", ".vms", ".vmu", ".svslide")  # whose headers OpenSlide reads
SUFFIXES: Final = (*JPEG, ".png", *TIFF, *VENDORS)
TAIL: Final = 4096


def image_size(image: str) -> tuple[int, int]:
    """Width and height in pixels.

    Parameters
    ----------
    image
        A path of a JPEG, PNG, TIFF or a scanner's format, ``STORE.zarr::images/NAME``, or
        ``FILE.h5ad::uns/spatial/…``.

    Raises
    ------
    DataError
        When there is no such image, it is of another format, or the file is cut short.
    MissingExtraError
        When openslide is not installed and the format is one of `VENDORS`.
    """
    if STORE in image:
        return _h5ad_size(image) if image.partition(STORE)[0].endswith(".h5ad") else _store_size(image)
    path = Path(image)
    if not path.is_file():
        raise DataError(f"the image {path} does not exist")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"the image {path.name} is not of a format that is read: {', '.join(SUFFIXES)}")
    if suffix in TIFF:
        return _tiff_size(path)
    if suffix in VENDORS:
        return _vendor_size(path)
    return _pillow_size(path, jpeg=suffix in JPEG)


def _pillow_size(path: Path, *, jpeg: bool) -> tuple[int, int]:
    # The plug-in classes are called directly: Image.open would refuse slides beyond
    # MAX_IMAGE_PIXELS, a setting of the whole process, although only the header is read.
    plugin = JpegImagePlugin.JpegImageFile if jpeg else PngImagePlugin.PngImageFile
    try:
        with plugin(path) as header:
            width, height = header.size
    except (SyntaxError, OSError, ValueError) as error:
        raise DataError(f"the image {path.name} cannot be read ({error})") from error
    end = b"\xff\xd9" if jpeg else b"IEND\xaeB`\x82"
    if end not in _tail(path):
        raise DataError(f"the image {path.name} is cut short: it does not end as a {plugin.format} does")
    return width, height


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read()


def _tiff_size(path: Path) -> tuple[int, int]:
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            width, height = int(page.imagewidth), int(page.imagelength)
            ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False)]
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
        raise DataError(f"the image {path.name} cannot be read ({error})") from error
    if max(ends, default=0) > path.stat().st_size:
        raise DataError(f"the image {path.name} is cut short: its pixels should go on behind its end")
    return width, height


def _vendor_size(path: Path) -> tuple[int, int]:
    openslide = need("openslide", "slides")
    try:
        with openslide.OpenSlide(path) as slide:
            width, height = slide.dimensions
    except openslide.OpenSlideError as error:
        raise DataError(
            f"the image {path.name} is not recognised by OpenSlide or damaged ({error})"
        ) from error
    return int(width), int(height)


def _h5ad_size(image: str) -> tuple[int, int]:
    path, _, inside = image.partition(STORE)
    try:
        with h5py.File(path, "r") as file:
            height, width = file[inside].shape[:2]
    except (KeyError, OSError, AttributeError, ValueError) as error:
        raise DataError(f"the file {path} has no readable picture {inside} ({error})") from error
    return int(width), int(height)


def _store_size(image: str) -> tuple[int, int]:
    import zarr

    store, _, name = image.partition(STORE)
    if not Path(store).is_dir():
        raise DataError(f"the store {store} does not exist")
    try:
        group: Any = zarr.open_group(store, mode="r", path=name)
        attrs: Any = group.attrs.asdict()
        multiscales = attrs.get("ome", attrs)["multiscales"]
        height, width = group[multiscales[0]["datasets"][0]["path"]].shape[-2:]
    except (KeyError, IndexError, TypeError, OSError, ValueError) as error:
        raise DataError(f"the store {store} has no readable image {name} ({error})") from error
    return int(width), int(height)
