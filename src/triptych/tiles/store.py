"""Images inside a store: ``STORE.zarr::images/NAME``, or ``FILE.h5ad::uns/spatial/…`` as scanpy has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from triptych.core.checks import nearest
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.protocols import Pixels
from triptych.tiles.mosaic import Mosaic
from triptych.tiles.slide import STORE, Slide, array_slide, coarser_levels

CHUNK_PX: Final = (1024, 1024)


def store_slide(reference: str, scale: float) -> Slide:
    """One image of a store with the levels of its pyramid.

    Parameters
    ----------
    reference
        ``STORE.zarr::images/NAME``.
    scale
        As of `Slide`.

    Raises
    ------
    DataError
        When there is no such store or image, or it is not RGB of 8 bits.
    MissingExtraError
        When spatialdata is not installed.
    """
    folder, _, inside = reference.partition(STORE)
    if not Path(folder).is_dir():
        raise DataError(f"The store {folder} does not exist.", "Check the path.")
    slide, *others = [_level(reference, pixels, scale) for pixels in _levels(folder, inside)]
    return coarser_levels(slide, others)


def _level(reference: str, pixels: Any, scale: float) -> Slide:
    if pixels.ndim != 3 or pixels.shape[0] != 3 or pixels.dtype != np.uint8:
        raise DataError(
            f"The image {reference} is not RGB: it has the shape {pixels.shape} and type {pixels.dtype}.",
            "Store it as RGB of 8 bits with the axes c, y, x.",
        )
    height, width = (int(side) for side in pixels.shape[1:])
    tall, wide = CHUNK_PX

    def decode(row: int, column: int) -> Pixels:
        part = pixels[:, row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
        return np.moveaxis(np.asarray(part.compute(scheduler="synchronous")), 0, -1)

    return Slide((height, width), Mosaic((height, width), CHUNK_PX, decode).region, scale, CHUNK_PX)


def _levels(folder: str, inside: str) -> list[Any]:
    """The lazy arrays (c, y, x) of an image element, the finest first."""
    spatialdata = need("spatialdata", "pixels")
    images = spatialdata.read_zarr(folder, selection=("images",)).images
    name = inside.removeprefix("images/")
    if name not in images:
        raise DataError(f"The store {folder} has no image {name}.", nearest(name, images))
    element = images[name]
    if not hasattr(element, "children"):
        return [element.transpose("c", "y", "x").data]
    scales = [element[f"scale{k}"] for k in range(len(element.children))]
    return [next(iter(scale.values())).transpose("c", "y", "x").data for scale in scales]


def h5ad_slide(reference: str, scale: float) -> Slide:
    """A picture inside an AnnData file, 8 bits or fractions of one.

    Raises
    ------
    DataError
        When there is no such picture, or it is not RGB.
    """
    path, _, inside = reference.partition(STORE)
    try:
        with h5py.File(path, "r") as file:
            pixels = np.asarray(file[inside])
    except (OSError, KeyError) as error:
        raise DataError(
            f"The file {path} has no readable picture {inside}: {error}.", "Read it again."
        ) from error
    if pixels.dtype.kind == "f" and pixels.size and pixels.min() >= 0 and pixels.max() <= 1:
        pixels = np.round(pixels * 255).astype(np.uint8)
    return array_slide(pixels[..., :3] if pixels.ndim == 3 else pixels, scale)
