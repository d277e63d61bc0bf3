"""The stained tissue."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from triptych.core.protocols import Pixels
from triptych.plots.window import Window, scale_bar, show


def slide(
    ax: Axes,
    thumbnail: Pixels,
    extent: Window,
    *,
    um_per_unit: float | None = 1.0,
    window: Window | None = None,
) -> AxesImage:
    """Draw a slide under the coordinates of its observations.

    Parameters
    ----------
    ax
        Where to draw.
    thumbnail
        RGB, shape (h, w, 3).
    extent
        Where the outer edges of the thumbnail lie, in the units of the observations' places.
    um_per_unit
        Micrometres per unit, for the scale bar; None where the study has no physical scale.
    window
        What to show; by default the whole thumbnail.
    """
    corners = (extent.left, extent.right, extent.bottom, extent.top)
    drawn = ax.imshow(thumbnail, extent=corners, interpolation="antialiased")
    window = window or extent
    show(ax, window)
    if um_per_unit:
        scale_bar(ax, window, um_per_unit, ink="black", halo="white")
    return drawn
