"""CellProfiler's granularity of many crops at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter
from skimage.morphology import disk

from triptych.core.protocols import Matrix, Vector
from triptych.encoders.crops.cellprofiler_rings import Mask, Planes

COARSER: Final = (
    4  # pixels of the crop per pixel of the spectrum, and of the spectrum per pixel of the ground
)
GROUND: Final = 10  # coarsest pixels, radius of what is subtracted as background
LOOK: Final = 4  # dilations between looks whether anything still grows


def granularity(mask: Mask, length: int) -> Callable[[Planes], Matrix]:
    """What measures the granular spectrum within a mask.

    The background, an opening by a disk, is taken off. Then bright spots are eroded by one pixel more at each
    step and what survives is reconstructed; the spectrum is how much of the mean intensity of the object each
    step loses, in percent of the mean at the start (MeasureGranularity, after Ravkin and Temov 1988).

    Parameters
    ----------
    mask
        Where the object lies, shape (side, side).
    length
        Number of steps.

    Returns
    -------
    (b, side, side) → (b, length).
    """
    side = len(mask)
    small = side // COARSER
    up = _interpolation(small, np.arange(side) * ((small - 1) / (side - 1)))
    weight = up.T @ (mask / mask.sum()) @ up  # of each coarse pixel in the mean of the object

    def measure(planes: Planes) -> Matrix:
        start = (planes * mask).sum(axis=(1, 2)) / mask.sum()
        under = _without_ground(planes[:, ::COARSER, ::COARSER][:, :small, :small])
        eroded, before, lost = under, start, np.empty((len(planes), length))
        for step in range(length):
            eroded = _spread(eroded, np.minimum)
            left = _reconstructed(eroded, under)
            now = np.einsum("bij,ij->b", left, weight)
            lost[:, step] = (before - now) * 100 / np.maximum(start, np.finfo(float).eps)
            before, under = now, left  # nothing grows beyond what the step before had left
        return lost

    return measure


def _without_ground(planes: Planes) -> Planes:
    """The planes less their opening by a disk of radius `GROUND` on a coarser grid, not below 0."""
    small = planes.shape[1]
    ground = planes[:, ::COARSER, ::COARSER]
    footprint = disk(GROUND)[None]
    for extreme in (minimum_filter, maximum_filter):
        ground = extreme(ground, footprint=footprint)
    up = _interpolation(ground.shape[1], np.arange(small) * ((small / COARSER - 1) / (small - 1)))
    risen: Planes = np.maximum(planes - up @ ground @ up.T, 0)
    return risen


def _interpolation(n: int, at: Vector) -> Matrix:
    """Weights with which linear interpolation takes n values, shape (len(at), n)."""
    # By map_coordinates, so that a place that rounding moves beyond the last value counts as 0 here too.
    one = np.eye(n)
    return np.stack([map_coordinates(one[k], [at], order=1) for k in range(n)], axis=1)


def _spread(planes: Planes, extreme: Callable[..., Planes]) -> Planes:
    """The extreme of each pixel and its four neighbours."""
    out = planes.copy()
    for one, other in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        extreme(out[:, one], planes[:, other], out=out[:, one])
        extreme(out[:, :, one], planes[:, :, other], out=out[:, :, one])
    return out


def _reconstructed(seed: Planes, under: Planes) -> Planes:
    """Grow seeds from pixel to pixel, nowhere above ``under``, until nothing changes."""
    out, growing = np.empty_like(seed), np.arange(len(seed))
    while len(growing):
        grown = seed
        for _ in range(LOOK):
            seed, grown = grown, np.minimum(_spread(grown, np.maximum), under)
        changed = (grown != seed).any(axis=(1, 2))
        out[growing[~changed]] = grown[~changed]
        growing, seed, under = growing[changed], grown[changed], under[changed]
    return out
