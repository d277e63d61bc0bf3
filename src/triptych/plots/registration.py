"""Where outlines of nuclei were moved: arrows over the section, and outlines on the picture."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.quiver import Quiver

from triptych.core.nuclei import Outlines
from triptych.core.protocols import Matrix, Pixels, Vector
from triptych.plots.palette import INK, PALETTE
from triptych.plots.window import Window, round_length, scale_bar, show

LONGEST: Final = 0.12  # of the longer side of the section: the arrow of the largest shift
GREY: Final = "#8A94A0"
BEFORE: Final = PALETTE[1]
AFTER: Final = PALETTE[2]


def arrows(
    ax: Axes, xy: Matrix, moved: Matrix, score: Vector, *, um_per_unit: float | None, ink: str = INK
) -> Quiver:
    """Draw the shift found in each region of a section, not to scale; return the drawn arrows.

    Parameters
    ----------
    ax
        Where to draw.
    xy
        Centres of the regions, shape (k, 2); y points down.
    moved
        Their shifts in the same units, shape (k, 2); rows that are not finite have no arrow.
    score
        Of each region, shape (k,), for the colour; NaN, of regions that did not count, is grey.
    um_per_unit
        Micrometres per unit; None where the section has no scale.
    ink
        Colour of text and of the scale bar.
    """
    window = Window.around(xy, pad=0.05 * float(np.ptp(xy, axis=0).max(initial=1.0)))
    known = np.isfinite(moved).all(axis=1, keepdims=True)
    moved = np.where(known, moved, 0.0)
    longest = float(np.linalg.norm(moved, axis=1).max(initial=0.0)) or 1.0
    side = max(window.width, window.height)
    top = float(np.nanmax(score)) if np.isfinite(score).any() else 1.0
    cmap = mpl.colormaps["cividis"].with_extremes(bad=GREY)
    drawn = ax.quiver(
        *xy.T, *moved.T, np.ma.masked_invalid(score), cmap=cmap, norm=Normalize(0, max(top, 1e-9)),
        angles="xy", scale_units="xy", scale=longest / (LONGEST * side), width=0.007,
    )  # fmt: skip
    ax.plot(*xy.T, "o", color=GREY, markersize=2.5, zorder=1)
    show(ax, window)
    if um_per_unit:
        scale_bar(ax, window, um_per_unit, ink=ink)
        _key(ax, drawn, longest, um_per_unit, ink)
    _bar(ax, drawn, ink)
    return drawn


def _key(ax: Axes, drawn: Quiver, longest: float, um_per_unit: float, ink: str) -> None:
    """An arrow of a round length, for the others to be read by."""
    um = round_length(longest * um_per_unit)
    ax.quiverkey(
        drawn, 0.8, 0.03, um / um_per_unit, f"{um:g} µm moved", labelpos="N", color=ink, labelcolor=ink,
        fontproperties={"size": 9},
    )  # fmt: skip


def _bar(ax: Axes, drawn: Quiver, ink: str) -> None:
    figure = ax.get_figure()
    if figure is None:
        return
    bar = figure.colorbar(drawn, ax=ax, fraction=0.035, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, colors=ink, length=2)
    bar.set_label("score after the correction", color=ink, fontsize=9)


def outlines_on(
    ax: Axes, pixels: Pixels, extent: Window, before: Outlines, after: Outlines
) -> tuple[LineCollection, LineCollection]:
    """Draw outlines where they were and where they are now on a part of the picture.

    Parameters
    ----------
    ax
        Where to draw; nothing else should be on it.
    pixels
        RGB, shape (h, w, 3).
    extent
        Where their outer edges lie, in the pixels of the outlines.
    before, after
        The same nuclei before and after the correction.
    """
    corners = (extent.left, extent.right, extent.bottom, extent.top)
    ax.imshow(pixels, extent=corners, interpolation="antialiased")
    drawn = _closed(before, BEFORE, "--"), _closed(after, AFTER, "-")
    for lines in drawn:
        ax.add_collection(lines, autolim=False)
    show(ax, extent)
    return drawn


def _closed(outlines: Outlines, colour: str, style: str) -> LineCollection:
    rings = np.split(outlines.px, outlines.first[1:-1])
    lines = [np.concatenate([ring, ring[:1]]) for ring in rings if len(ring)]
    return LineCollection(lines, colors=colour, linewidths=1.3, linestyles=style)
