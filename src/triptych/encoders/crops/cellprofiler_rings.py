"""CellProfiler's radial distribution of crops that all have the same mask.

The distances, rings and wedges depend on the mask alone, so they are found once; what is left of
MeasureObjectIntensityDistribution is one product of a sparse matrix with the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from triptych.core.extras import need
from triptych.core.protocols import Indices, Matrix

Planes = NDArray[np.float64]  # (b, side, side), from 0 to 1
Mask = NDArray[np.bool_]  # (side, side)

RINGS: Final = 4
WEDGES: Final = 8
NAMES: Final = tuple(
    f"RadialDistribution_{what}_{{}}_{ring}of{RINGS}"
    for ring in range(1, RINGS + 1)
    for what in ("FracAtD", "MeanFrac", "RadialCV")
)


def radial_distribution(mask: Mask) -> Callable[[Planes], Matrix]:
    """What measures the radial distribution within a mask.

    With s_r the sum of the pixels of ring r, n_r their number, s and n those of all rings, and m_rw the mean
    of wedge w of the ring: FracAtD is s_r / s, MeanFrac (s_r / s) / (n_r / n), and RadialCV the standard
    deviation of m_rw over the wedges, divided by their mean.

    Parameters
    ----------
    mask
        Where the object lies, shape (side, side).

    Returns
    -------
    (b, side, side) → (b, 12), columns as `NAMES`; NaN where nothing is stained.
    """
    part = _parts(mask)
    inside = np.flatnonzero(part >= 0)
    shape = (RINGS * WEDGES, part.size)
    sums = sp.csr_matrix((np.ones(len(inside)), (part.ravel()[inside], inside)), shape)
    pixels = np.bincount(part.ravel()[inside], minlength=shape[0]).reshape(RINGS, WEDGES, 1)

    def measure(planes: Planes) -> Matrix:
        total = (sums @ planes.reshape(len(planes), -1).T).reshape(RINGS, WEDGES, -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = total.sum(axis=1) / total.sum(axis=(0, 1))
            area = pixels.sum(axis=1) / pixels.sum()
            mean = np.ma.masked_array(total / pixels, np.broadcast_to(pixels == 0, total.shape))
            spread = mean.std(axis=1).filled(np.nan) / mean.mean(axis=1).filled(np.nan)
            found = np.stack([share, share / (area + np.finfo(float).eps), spread], axis=1)
        return np.asarray(found.reshape(len(NAMES), -1).T)

    return measure


def _parts(mask: Mask) -> Indices:
    """Ring · `WEDGES` + wedge of each pixel, shape (side, side); -1 outside the mask.

    The centre is the first of the pixels farthest from the edge. Rings have equal widths in the distance from
    the centre, along paths of pixels, over its sum with the distance to the edge.
    """
    propagate = need("centrosome.propagate", "profiling").propagate
    framed = np.pad(mask, 1)  # so that the rim of the crop is an edge
    to_edge = distance_transform_edt(framed)
    row, column = np.unravel_index(np.argmax(to_edge), framed.shape)
    centre = np.zeros(framed.shape, int)
    centre[row, column] = 1
    from_centre = propagate(np.zeros(framed.shape), centre, framed, 1)[1]
    with np.errstate(invalid="ignore"):  # outside the mask the distance is infinite
        way = np.where(framed, from_centre / (from_centre + to_edge + 0.001), 0)
    i, j = np.indices(framed.shape)
    wedge = (i > row) + 2 * (j > column) + 4 * (abs(i - row) > abs(j - column))
    parts: Indices = np.where(framed, (way * RINGS).astype(int) * WEDGES + wedge, -1)[1:-1, 1:-1]
    return parts
