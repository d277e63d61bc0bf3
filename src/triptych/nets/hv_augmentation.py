"""Tiles as they might have been: turned, nearer or farther, and stained otherwise.

The maps of nuclei are made after turning and zooming, so that they always fit their nuclei.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from triptych.core.nuclei import Tiles

VIEWS: Final = 8  # ways to lay down a square
# Densities of red, green, blue (columns) of haematoxylin, eosin and what is neither (rows): Ruifrok &
# Johnston 2001.
STAINS: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
STRENGTH, OFFSET = 0.25, 0.05  # largest change of a stain's amount at jitter 1: as a share, and in densities
DARKEST: Final = 1 / 255  # light whose density is still told


def turned(pixels: NDArray[Any], view: int) -> NDArray[Any]:
    """One of the eight views of pictures.

    Parameters
    ----------
    pixels
        Shape (…, h, w).
    view
        0 … 7: so many quarters, modulo 4, against the clock, and from 4 on left and right changed then.
    """
    quarters = np.rot90(pixels, view % 4, (-2, -1))
    return quarters[..., ::-1] if view > 3 else quarters


def turned_back(pixels: NDArray[Any], view: int) -> NDArray[Any]:
    """What `turned` made, as it was."""
    return np.rot90(pixels[..., ::-1] if view > 3 else pixels, -(view % 4), (-2, -1))


def hv_turned(hv: NDArray[Any], view: int) -> NDArray[Any]:
    """One of the eight views of horizontal and vertical maps, shape (2, h, w)."""
    for _ in range(view % 4):  # what was down is to the right then, and what was right is up
        hv = np.stack([np.rot90(hv[1]), -np.rot90(hv[0])])
    return np.stack([-hv[0, :, ::-1], hv[1, :, ::-1]]) if view > 3 else hv


def hv_turned_back(hv: NDArray[Any], view: int) -> NDArray[Any]:
    """What `hv_turned` made, as it was."""
    return hv_turned(hv, view) if view > 3 else hv_turned(hv, -view % 4)  # a mirror undoes itself


def placed(tiles: Tiles, crop_px: int, scale_jitter: float, rng: np.random.Generator) -> Tiles:
    """A square of each tile, somewhere in it, in one of eight views, and enlarged or reduced.

    Parameters
    ----------
    tiles
        Of sides no less than ``crop_px``.
    crop_px
        Side of what is given.
    scale_jitter
        j: the enlargement is drawn from 1 / (1 + j) … 1 + j, evenly in its logarithm; less where the tile has
        not enough around.
    rng
        Draws all of it.

    Returns
    -------
    Labels are those of the nearest pixel.
    """
    count, tile_px = len(tiles.image), tiles.image.shape[1]
    scale = np.exp(np.log1p(scale_jitter) * rng.uniform(-1, 1, count))
    sides: NDArray[np.int64] = np.clip(np.rint(crop_px / scale), 1, tile_px).astype(np.int64)
    free = tile_px - sides[:, None] + 1
    corners: NDArray[np.int64] = np.floor(rng.random((count, 2)) * free).astype(np.int64)
    views = rng.integers(VIEWS, size=count)
    images = np.empty((count, crop_px, crop_px, 3), np.uint8)
    given: tuple[NDArray[Any], ...] = (tiles.instances, tiles.types, tiles.ignore)
    labels = [np.empty((count, crop_px, crop_px), of.dtype) for of in given]
    for at in range(count):
        side, view, (y, x) = int(sides[at]), int(views[at]), corners[at]
        square = np.s_[at, y : y + side, x : x + side]
        image = turned(tiles.image[square].transpose(2, 0, 1), view)
        images[at] = zoomed(image, crop_px).transpose(1, 2, 0)
        near = (np.arange(crop_px) * 2 + 1) * side // (2 * crop_px)
        for out, of in zip(labels, given, strict=True):
            out[at] = turned(of[square], view)[np.ix_(near, near)]
    return Tiles(images, *labels)


def zoomed(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square picture, shape (3, s, s), brought to another side by linear interpolation."""
    if image.shape[-1] == side:
        return image
    values = torch.from_numpy(np.ascontiguousarray(image))[None].float()
    grown = interpolate(values, size=(side, side), mode="bilinear", antialias=image.shape[-1] > side)
    return np.asarray(grown[0].round().clamp(0, 255).to(torch.uint8).numpy())


def stained(pixels: Tensor, jitter: float, rng: np.random.Generator) -> Tensor:
    """Pictures with other amounts of stain: c′ = c (1 + a) + b for each stain of each picture.

    Parameters
    ----------
    pixels
        In 0 … 1, shape (b, 3, h, w).
    jitter
        1 draws a from ±`STRENGTH` and b from ±`OFFSET`, evenly; 0 changes nothing.
    rng
        Draws.
    """
    if not jitter:
        return pixels
    stains = STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)
    apart = np.linalg.inv(stains)
    times = 1 + jitter * STRENGTH * rng.uniform(-1, 1, (len(pixels), 3))
    plus = jitter * OFFSET * rng.uniform(-1, 1, (len(pixels), 3))
    # apart, changed and put together again in one product: densities D become D A diag(1 + a) S + b S
    mix, shift = (apart * times[:, None]) @ stains, plus @ stains
    density = -pixels.clamp(DARKEST, 1).log()
    flat = torch.from_numpy(mix.transpose(0, 2, 1)).to(density) @ density.flatten(2)
    changed = flat + torch.from_numpy(shift).to(density)[:, :, None]
    return changed.neg_().exp_().clamp_(0, 1).view_as(pixels)
