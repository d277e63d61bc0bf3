"""Names beside colours."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from triptych.plots.palette import INK, colour


def legend(ax: Axes, names: Mapping[str, int], *, ink: str = INK, columns: int = 1) -> None:
    """Fill the axes with a legend.

    Parameters
    ----------
    ax
        Where to draw; nothing else should be on it.
    names
        Name → code of the category; -1 = unlabelled.
    ink
        Colour of the text.
    columns
        Number of columns.
    """
    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=8, color=colour(code)) for code in names.values()
    ]
    drawn = ax.legend(
        dots, list(names), loc="center", frameon=False, ncols=columns, labelcolor=ink, fontsize=9
    )
    for text in drawn.get_texts():
        text.set_parse_math(False)  # a dollar sign in a name is a dollar sign
    ax.set_axis_off()
