"""Horizontal and vertical maps of nuclei (HoVer-Net): made from known nuclei, and turned back into nuclei.

Inside a nucleus both maps rise from -1 to 1, along x and along y; where two nuclei touch they fall from 1 to
-1. Graham et al. (2019, 10.1016/j.media.2019.101563) scale the gradients by their extremes in the picture
before they cut, so that a nucleus depends on what else is in the picture. Here every range is fixed: the
gradient is what the map rises by from one pixel to the next, and a nucleus depends on its own surroundings
only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from triptych.core.nuclei import Instances
from triptych.maths.watershed import divided, filled, kept, pieces_of

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Lengths and areas are for 0.25 µm per pixel, at which all pictures of nuclei are.
LEAST_PX: Final = 50  # area of the smallest nucleus
HOLE_PX: Final = 60  # area below which a hole belongs to the nucleus around it
SMOOTHING_PX: Final = 2.5  # sigma of the Gaussian over the height
APART_PX: Final = 6  # two centres are no nearer
FALLING_PX: Final = 10.0  # height lost where a map falls by 1 from one pixel to the next
DEEPEST: Final = 1.5  # height that is lost at most, lest a sharp border drowns the narrow nucleus beside it
LOWEST: Final = 0.1  # height of the lowest centre
# A derivative of five taps that are smoothed across; together they give the slope of a ramp as it is.
SLOPE: Final = np.array([-1, -2, 0, 2, 1], np.float32) / 8
ACROSS: Final = np.array([1, 4, 6, 4, 1], np.float32) / 16


def hv_targets(instances: Instances) -> Float32:
    """Offset of each pixel of a nucleus from its centre of mass, -1 … 1.

    Along each axis the offsets below the centre are divided by the largest of them, and so are those above.

    Parameters
    ----------
    instances
        Shape (h, w): 0 = background, else the number of a nucleus.

    Returns
    -------
    Horizontal, then vertical, shape (2, h, w); 0 in the background.
    """
    targets = np.zeros((2, *instances.shape), np.float32)
    flat = np.flatnonzero(instances)
    if not flat.size:
        return targets
    number = instances.ravel()[flat]
    order = np.argsort(number, kind="stable")
    flat, number = flat[order], number[order]
    starts = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
    sizes = np.diff(np.r_[starts, len(number)])
    y, x = np.divmod(flat, instances.shape[1])
    for target, place in zip(targets, (x, y), strict=True):
        offset = place - np.repeat(np.add.reduceat(place, starts) / sizes, sizes)
        lowest = -np.minimum.reduceat(offset, starts)
        highest = np.maximum.reduceat(offset, starts)
        extent = np.where(offset < 0, np.repeat(lowest, sizes), np.repeat(highest, sizes))
        target.ravel()[flat] = np.divide(offset, extent, out=np.zeros_like(offset), where=extent > 1e-6)
    return targets


def instances_of(
    probability: Float32, hv: Float32, *, threshold: float = 0.5, least_px: int = LEAST_PX
) -> Instances:
    """Nuclei of the two maps that a network predicts.

    Within what is likelier than the threshold the height 1 - max(|h|, |v|) - 10 max(0, -∂h/∂x, -∂v/∂y), of
    which the last term is at most 1.5, is smoothed. Its maxima are the centres; where a component has more
    than one, its pixels go to them by a watershed; where it has none, it is one nucleus.

    Parameters
    ----------
    probability
        That a pixel is in a nucleus, shape (h, w).
    hv
        Horizontal and vertical map, shape (2, h, w).
    threshold
        Of the probability.
    least_px
        Area of the smallest nucleus that is kept, in pixels.

    Returns
    -------
    Shape (h, w): 0 = background, 1 … n without gaps.
    """
    pieces = pieces_of(filled(probability > threshold, HOLE_PX), least_px)
    height = _height(hv, pieces > 0)
    return kept(divided(pieces, height, apart_px=APART_PX, lowest=LOWEST), least_px)


def probabilities_of(instances: Instances, types: Float32) -> Float32:
    """Mean probability of each class over the pixels of each nucleus.

    Parameters
    ----------
    instances
        Shape (h, w): 0 = background, 1 … n without gaps.
    types
        Logits of the classes, without that of the background, shape (c, h, w).

    Returns
    -------
    Rows add to 1, shape (n, c).
    """
    flat = np.flatnonzero(instances)
    number = instances.ravel()[flat] - 1
    sizes = np.bincount(number)
    logits = types.reshape(len(types), instances.size)[:, flat]
    parts = np.exp(logits - logits.max(axis=0, initial=-np.inf)).astype(np.float64)
    parts /= parts.sum(axis=0)
    means = [np.bincount(number, part, len(sizes)) / sizes for part in parts]
    return np.stack(means, axis=1).astype(np.float32) if means else np.zeros((len(sizes), 0), np.float32)


def _height(hv: Float32, inside: Mask) -> Float32:
    """How far inside a nucleus each pixel is, 1 at its centre; shape (h, w)."""
    fall = np.zeros(inside.shape, np.float32)
    for axis, one in ((1, hv[0]), (0, hv[1])):
        slope = ndi.correlate1d(ndi.correlate1d(one, SLOPE, axis), ACROSS, 1 - axis)
        np.maximum(fall, -slope, out=fall)
    height = 1 - np.maximum(np.abs(hv[0]), np.abs(hv[1])) - np.minimum(FALLING_PX * fall, DEEPEST)
    return np.asarray(ndi.gaussian_filter(np.where(inside, height, 0).astype(np.float32), SMOOTHING_PX))
