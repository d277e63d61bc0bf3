"""The part of a section that is shown, and its scale bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from triptych.core.protocols import Matrix
from triptych.plots.palette import INK

MARGIN = 0.03  # of the longer side
STRIP = 0.09  # of the longer side, under the section, for the scale bar


@dataclass(frozen=True)
class Window:
    """A rectangle of the plane, y pointing down as in images."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, xy: Matrix, *, pad: float = 0.0) -> Window:
        """The box of the finite points, with a margin and a strip for the scale bar.

        Parameters
        ----------
        xy
            Places, shape (n, 2).
        pad
            Radius of what is drawn at a place, in the units of ``xy``.
        """
        xy = xy[np.isfinite(xy).all(axis=1)]
        low, high = (xy.min(axis=0), xy.max(axis=0)) if len(xy) else (np.zeros(2), np.ones(2))
        side = max(float((high - low).max()), 2 * pad) or 1.0
        edge = pad + MARGIN * side
        left, top = (float(v) for v in low - edge)
        right, bottom = (float(v) for v in high + edge)
        return cls(left, top, right, bottom + STRIP * side)

    @property
    def width(self) -> float:
        """Extent along x."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent along y."""
        return self.bottom - self.top


def show(ax: Axes, window: Window) -> None:
    """Limit the axes to the window, at equal aspect, without a frame."""
    ax.set_xlim(window.left, window.right)
    ax.set_ylim(window.bottom, window.top)
    ax.set_aspect("equal")
    ax.set_axis_off()


def round_length(limit: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is not above ``limit``."""
    power = 10.0 ** np.floor(np.log10(limit))
    return float(max(step for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9)) * power)


def length_text(um: float) -> str:
    """A length in µm or, from 1000 µm, in mm."""
    return f"{um:g} µm" if um < 1000 else f"{um / 1000:g} mm"


def bar_um(window: Window, um_per_unit: float) -> float:
    """Length of the scale bar in µm: round, and not above two sevenths of the window's width."""
    return round_length(window.width * um_per_unit / 3.5)


def scale_bar(ax: Axes, window: Window, um_per_unit: float, *, ink: str = INK, halo: str = "") -> None:
    """Draw a bar of a round length in the lower left corner.

    Parameters
    ----------
    ax
        Axes that show the window.
    window
        What they show.
    um_per_unit
        Micrometres per unit of the axes.
    ink, halo
        Colour of the bar, and of a line around it where it lies on an image.
    """
    um = bar_um(window, um_per_unit)
    side = max(window.width, window.height)
    x, y = window.left + 0.03 * side, window.bottom - 0.025 * side
    around: list[Any] = [withStroke(linewidth=3, foreground=halo)] if halo else []
    ax.plot(
        [x, x + um / um_per_unit], [y, y], color=ink, linewidth=2, solid_capstyle="butt", path_effects=around
    )
    ax.text(x, y - 0.012 * side, length_text(um), color=ink, fontsize=11, va="bottom", path_effects=around)
