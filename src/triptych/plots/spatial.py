"""Labels or values on the tissue."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import Normalize
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.plots.palette import INK, UNLABELLED, paint
from triptych.plots.window import Window, scale_bar, show

MANY = 10_000  # from here on a vector file would be slow to open
PROBE = 2_000  # places whose nearest neighbours tell the spacing


def spacing(xy: Matrix) -> float:
    """Median distance to the nearest other place, over at most `PROBE` of them.

    Parameters
    ----------
    xy
        Places, shape (n, 2).
    """
    xy = xy[np.isfinite(xy).all(axis=1)]
    if len(xy) < 2:
        return 1.0
    near, _ = cKDTree(xy).query(xy[:: max(1, len(xy) // PROBE)], k=2)
    return float(np.median(near[:, 1])) or 1.0


def spatial(
    ax: Axes,
    xy: Matrix,
    labels: Codes | Vector,
    *,
    size: float | None = None,
    um_per_unit: float | None = 1.0,
    window: Window | None = None,
    ink: str = INK,
) -> EllipseCollection:
    """Draw every observation where it lies and as large as it is; return the drawn collection.

    Parameters
    ----------
    ax
        Where to draw.
    xy
        Places, shape (n, 2); y points down.
    labels
        Integer codes (n,) take the palette, -1 = unlabelled; floating-point values (n,) cividis.
    size
        Diameter of a spot in the units of ``xy``; by default nine tenths of the spacing.
    um_per_unit
        Micrometres per unit of ``xy``, for the scale bar; None where the study has no physical scale.
    window
        What to show; by default all places.
    ink
        Colour of the scale bar.
    """
    size = size or 0.9 * spacing(xy)
    window = window or Window.around(xy, pad=size / 2)
    spots = EllipseCollection(
        [size], [size], [0.0], units="xy", offsets=xy, offset_transform=ax.transData,
        linewidths=0, rasterized=len(xy) > MANY, **_colours(labels),
    )  # fmt: skip
    ax.add_collection(spots, autolim=False)
    show(ax, window)
    if um_per_unit:
        scale_bar(ax, window, um_per_unit, ink=ink)
    return spots


def _colours(labels: Codes | Vector) -> dict[str, Any]:
    values: NDArray[Any] = np.asarray(labels)
    if not np.issubdtype(values.dtype, np.floating):
        return {"facecolors": paint(values)}
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if len(finite) else (0.0, 1.0)
    cmap = mpl.colormaps["cividis"].with_extremes(bad=UNLABELLED)
    return {"array": np.ma.masked_invalid(values), "cmap": cmap, "norm": Normalize(low, high)}
