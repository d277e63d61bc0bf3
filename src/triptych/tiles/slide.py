"""A slide: pixels that can be read region by region, whatever file they lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.protocols import Pixels

STORE: Final = "::"  # between a store and the image inside it
WHITE: Final = 255
VENDORS: Final = (".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".vms", ".vmu", ".svslide")
MAGIC: Final = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
Region = Callable[[int, int, int, int], Pixels]


@dataclass(frozen=True, eq=False)
class Slide:
    """Pixels of one slide.

    Parameters
    ----------
    shape_px
        Height and width.
    region
        Left, top, width and height of a region inside the slide → its pixels, shape (h, w, 3).
    scale
        Pixels of the slide per pixel of the coordinates that windows are given in.
    chunk_px
        Height and width of what is decoded at once; windows are read chunk row by chunk row.
    coarser
        The same slide at lower resolutions, as pyramids have it.
    """

    shape_px: tuple[int, int]
    region: Region
    scale: float = 1.0
    chunk_px: tuple[int, int] = (1024, 1024)
    coarser: tuple[Slide, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be a positive number, got {self.scale}")

    def read(self, x0: int, y0: int, width: int, height: int) -> Pixels:
        """A region, white where it reaches beyond the slide.

        Parameters
        ----------
        x0, y0
            Left and top; may be negative.
        width, height
            In pixels, at least 1.

        Returns
        -------
        Array of shape (height, width, 3).

        Raises
        ------
        DataError
            When the file is damaged there.
        """
        if width < 1 or height < 1:
            raise ValueError(f"a region must be at least 1 × 1 px, got {width} × {height}")
        rows, columns = self.shape_px
        left, right = max(x0, 0), min(x0 + width, columns)
        top, bottom = max(y0, 0), min(y0 + height, rows)
        if (left, top, right, bottom) == (x0, y0, x0 + width, y0 + height):
            return self.region(x0, y0, width, height)
        out = np.full((height, width, 3), WHITE, np.uint8)
        if left < right and top < bottom:
            inside = self.region(left, top, right - left, bottom - top)
            out[top - y0 : bottom - y0, left - x0 : right - x0] = inside
        return out

    def level(self, reduction: float) -> Slide:
        """The coarsest level that is at least as fine as a reduction leaves it.

        Parameters
        ----------
        reduction
            Pixels of the slide per pixel wanted; below 2 the slide itself is given.
        """
        if reduction < 2:
            return self
        # a side may have been rounded down to whole pixels
        enough = [one for one in self.coarser if self.shape_px[1] < reduction * (one.shape_px[1] + 1)]
        return min(enough, key=lambda one: one.shape_px[1], default=self)


def coarser_levels(slide: Slide, levels: Iterable[Slide]) -> Slide:
    """A slide with its pyramid, of which levels that show another part of the glass are left out."""
    height, width = slide.shape_px
    same = [
        one for one in levels if abs(one.shape_px[0] * width - one.shape_px[1] * height) <= width + height
    ]
    return replace(slide, coarser=tuple(same))


def array_slide(pixels: Pixels, scale: float = 1.0) -> Slide:
    """A slide that lies in memory.

    Parameters
    ----------
    pixels
        Shape (height, width, 3), RGB of 8 bits.
    scale
        As of `Slide`.

    Raises
    ------
    DataError
        When the array is something else.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise DataError(
            f"The image is an array of {pixels.dtype} of shape {pixels.shape}.",
            "A slide is RGB of 8 bits: uint8 of shape (height, width, 3).",
        )

    def region(x0: int, y0: int, width: int, height: int) -> Pixels:
        return pixels[y0 : y0 + height, x0 : x0 + width].copy()

    return Slide((pixels.shape[0], pixels.shape[1]), region, scale)


def open_slide(reference: str, scale: float = 1.0) -> Slide:
    """Open a slide.

    Parameters
    ----------
    reference
        Path of a JPEG, PNG, TIFF, OME-TIFF or a scanner's format (`VENDORS`), ``STORE.zarr::images/NAME``,
        or a picture inside an AnnData file, ``FILE.h5ad::uns/spatial/…``. JPEG, PNG and pictures inside a
        file are decoded whole and once; of the others only what is read.
    scale
        As of `Slide`.

    Raises
    ------
    DataError
        When there is no such image, it is damaged, or it is not RGB of 8 bits.
    MissingExtraError
        When a store is named and spatialdata is not installed, or a scanner's format and openslide is not.
    """
    if STORE in reference:
        from triptych.tiles.store import h5ad_slide, store_slide

        if reference.partition(STORE)[0].endswith(".h5ad"):
            return h5ad_slide(reference, scale)

        return store_slide(reference, scale)
    path = Path(reference)
    if not path.is_file():
        beside = sorted(file.name for file in path.parent.iterdir()) if path.parent.is_dir() else []
        raise DataError(
            f"The image {path} does not exist.", f"Its folder holds {listing(beside)}. Check the path."
        )
    if path.suffix.lower() in VENDORS:
        from triptych.tiles.vendor import vendor_slide

        return vendor_slide(path, scale)
    kind = kind_of(path)
    if kind == "TIFF":
        from triptych.tiles.tiff import tiff_slide

        return tiff_slide(path, scale)
    from triptych.tiles.picture import decode

    return array_slide(decode(path, kind), scale)


def kind_of(path: Path) -> str:
    """The format by its first bytes; the suffix may lie."""
    with path.open("rb") as file:
        head = file.read(4)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    raise DataError(
        f"The image {path} is neither JPEG, PNG nor TIFF.", "Convert it to a tiled TIFF, RGB of 8 bits."
    )
