"""A number for each known type in each of several results, as a heat map that stays legible."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes

from triptych.plots.heat import shares
from triptych.plots.names import LONG
from triptych.report.canvas import Canvas
from triptych.report.markup import Html

ABREAST: Final = 24  # types side by side; more stand one below the other
MEAN: Final = "(mean)"


def type_grid(
    canvas: Canvas, name: str, values: pd.DataFrame, *, label: str, alt: str, apart: int = 0
) -> Html:
    """Draw results by types, the mean of each set apart.

    Parameters
    ----------
    canvas
        Draws.
    name
        Of the file.
    values
        From 0 to 1: a row for each result, a column for each type, and last one for their mean.
    label
        What the numbers are.
    alt
        What the picture shows, in words.
    apart
        After how many rows to draw a line; 0 = none.
    """
    results, types = len(values), values.shape[1] - 1
    wide, longest = types <= ABREAST, min(max(map(len, values.index)), LONG)
    shown = values if wide else values.T

    def draw(ax: Axes, ink: str) -> None:
        down, across = list(shown.index), list(shown.columns)
        shares(ax, shown.to_numpy(float), rows=down, columns=across, label=label, numbers=True, ink=ink)
        mean, groups = (ax.axvline, ax.axhline) if wide else (ax.axhline, ax.axvline)
        mean(types - 0.5, color=ink, linewidth=1.2)
        if 0 < apart < results:
            groups(apart - 0.5, color=ink, linewidth=1.2)

    size = (1.4 + 0.075 * longest + 0.36 * (types + 1), 2.1 + 0.27 * results)
    if not wide:
        size = (3.3 + 0.4 * results, 1.0 + 0.075 * longest + 0.21 * (types + 1))
    return canvas.chart(name, draw, size, alt)
