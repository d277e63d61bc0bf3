"""CellProfiler's image quality of many crops at once: focus, saturation, slope of the power spectrum.

cp_measure lacks it. Of MeasureImageQuality this leaves out the thresholds, the correlation (which the texture
family has) and the intensities (which the intensity family has).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.fft import rfft2

from triptych.core.protocols import Indices, Matrix, Vector
from triptych.encoders.crops.cellprofiler_rings import Planes

BLOCK_PX: Final = 20  # side of the blocks of the local focus score
NAMES: Final = (
    "ImageQuality_FocusScore_{}",
    f"ImageQuality_LocalFocusScore_{{}}_{BLOCK_PX}",
    "ImageQuality_PercentMaximal_{}",
    "ImageQuality_PercentMinimal_{}",
    "ImageQuality_PowerLogLogSlope_{}",
)


def image_quality(planes: Planes) -> Matrix:
    """Numbers of each whole crop, whatever its mask.

    The focus score is variance / mean; the local one is, of this score in each block, variance / median. The
    slope is that of log power over log radius of the Fourier transform, from the second radius to an eighth
    of the side, the power summed over each radius.

    Parameters
    ----------
    planes
        Shape (b, side, side).

    Returns
    -------
    Shape (b, 5), columns as `NAMES`. Scores of a crop that is all 0 are 0, as CellProfiler has them; the
    slope of a constant one is NaN.
    """
    flat = planes.reshape(len(planes), -1)
    columns = [
        _focus(flat.mean(axis=1), flat.var(axis=1)),
        _local_focus(planes),
        100 * (flat == flat.max(axis=1, keepdims=True)).mean(axis=1),
        100 * (flat == flat.min(axis=1, keepdims=True)).mean(axis=1),
        _slope(planes),
    ]
    return np.stack(columns, axis=1)


def _focus(mean: Matrix, variance: Matrix) -> Matrix:
    return np.where(mean > 0, variance / np.where(mean > 0, mean, 1), 0)


def _local_focus(planes: Planes) -> Vector:
    side = planes.shape[1]
    blocks = -(-side // BLOCK_PX)
    # np.add.reduceat adds up from each start to the next.
    start = np.flatnonzero(np.diff(np.arange(side) * blocks // side, prepend=-1))
    length = np.diff(start, append=side)
    number = np.outer(length, length)
    mean, square = (_blocks(x, start) / number for x in (planes, planes**2))
    score = _focus(mean, np.maximum(square - mean**2, 0)).reshape(len(planes), -1)
    score = np.where(mean.reshape(score.shape) > 0, score, np.nan)  # a block without light has none
    lit = np.isfinite(score).any(axis=1)
    out = np.zeros(len(planes))
    median = np.nanmedian(score[lit], axis=1)
    out[lit] = np.where(median > 0, np.nanvar(score[lit], axis=1) / np.where(median > 0, median, 1), 0)
    return out


def _blocks(planes: Planes, start: Indices) -> Planes:
    summed: Planes = np.add.reduceat(np.add.reduceat(planes, start, axis=1), start, axis=2)
    return summed


def _slope(planes: Planes) -> Vector:
    """Slope of log power over log radius, NaN where there is no power."""
    side = planes.shape[1]
    where, start, radii = _radii(side)
    power = np.abs(rfft2(planes - planes.mean(axis=(1, 2), keepdims=True))) ** 2
    summed = np.add.reduceat(power.reshape(len(planes), -1)[:, where], start, axis=1)
    still = np.ptp(planes, axis=(1, 2)) == 0
    x = np.log(radii) - np.log(radii).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.log(summed) @ x / (x @ x)
    return np.where(still | ~np.isfinite(slope), np.nan, slope)


def _radii(side: int) -> tuple[Indices, Indices, Indices]:
    """Places in a flat half spectrum by radius, where the places of each radius start, and the radii."""
    # As CellProfiler counts: the last row and column are as near to the origin as the first.
    off = np.minimum(np.arange(side), np.arange(side)[::-1])
    radius = np.floor(np.hypot(off[:, None], off)).astype(int) + 1
    i, j = np.nonzero((radius >= 2) & (radius < side // 8))
    order = np.argsort(radius[i, j], kind="stable")
    i, j = i[order], j[order]
    radii, start = np.unique(radius[i, j], return_index=True)
    i, j = np.where(j > side // 2, -i % side, i), np.where(j > side // 2, side - j, j)
    return i * (side // 2 + 1) + j, start, radii
