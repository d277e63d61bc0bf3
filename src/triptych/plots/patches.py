"""Small pictures side by side."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes

from triptych.core.protocols import Pixels

GAP: Final = 0.06  # between pictures, of their side


def patches(ax: Axes, pixels: Pixels, *, columns: int) -> None:
    """Draw square pictures row by row.

    Parameters
    ----------
    ax
        Where to draw; nothing else should be on it.
    pixels
        RGB, shape (k, h, w, 3).
    columns
        Pictures of a row.
    """
    for index, one in enumerate(pixels):
        row, column = divmod(index, columns)
        left, top = column * (1 + GAP), row * (1 + GAP)
        ax.imshow(one, extent=(left, left + 1, top + 1, top), interpolation="antialiased")
    width, height = grid(len(pixels), columns)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()


def grid(count: int, columns: int) -> tuple[float, float]:
    """Width and height of so many pictures, in sides of a picture."""
    across, down = min(count, columns), -(-count // columns)
    return across * (1 + GAP) - GAP, down * (1 + GAP) - GAP
