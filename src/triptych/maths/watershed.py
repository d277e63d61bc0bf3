"""Pieces of a mask, cut into nuclei at the valleys between their heights.

Each step looks no farther than a nucleus is wide, and nothing is scaled by what else is in the picture.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.segmentation import watershed

from triptych.core.nuclei import Instances

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
TOUCHING: Final = np.ones((3, 3), bool)  # pixels of a summit that touch at a corner belong together


def filled(inside: Mask, hole_px: int) -> Mask:
    """The same without holes of an area below ``hole_px``, shape (h, w)."""
    holes, count = ndi.label(~inside)
    small = np.bincount(holes.ravel(), minlength=count + 1) < hole_px
    return np.asarray(inside | small[holes])


def pieces_of(inside: Mask, least_px: int) -> Instances:
    """The connected pieces of a mask that have at least an area of ``least_px``, numbered without gaps."""
    pieces, _ = ndi.label(inside)
    return kept(pieces, least_px)


def kept(instances: Instances, least_px: int) -> Instances:
    """Those of at least ``least_px`` pixels, numbered anew without gaps in the same order."""
    large = np.bincount(instances.ravel()) >= max(least_px, 1)
    large[0] = False
    return np.where(large, np.cumsum(large), 0).astype(np.int32)[instances]


def divided(pieces: Instances, height: Float32, *, apart_px: int, lowest: float) -> Instances:
    """Each piece, cut into as many nuclei as it has summits.

    Where a piece has several, its pixels go to them by a watershed; where it has none, it is one nucleus.

    Parameters
    ----------
    pieces
        Shape (h, w): 0 = background, 1 … n without gaps.
    height
        Shape (h, w).
    apart_px
        A summit is the highest pixel of the square that reaches so far to each side.
    lowest
        Height above which there are summits.

    Returns
    -------
    Shape (h, w): 0 = background, 1 … n without gaps.
    """
    highest = ndi.maximum_filter(height, size=2 * apart_px + 1)
    summits, found = ndi.label((pieces > 0) & (height >= highest) & (height > lowest), TOUCHING)
    flat = np.flatnonzero(summits)
    number = summits.ravel()[flat]
    piece_of = np.zeros(found + 1, np.int64)
    piece_of[number] = pieces.ravel()[flat]
    count = int(pieces.max(initial=0))
    summits_in = np.bincount(piece_of[1:], minlength=count + 1)
    whole = np.arange(found, found + count + 1, dtype=np.int32)  # the number of a piece without a summit
    whole[piece_of[1:]] = np.arange(1, found + 1)
    several = summits_in > 1
    whole[several] = 0
    whole[0] = 0
    nuclei = whole[pieces]
    if several.any():
        nuclei += watershed(-height, summits, mask=several[pieces]).astype(np.int32)
    return kept(nuclei, 1)
