"""Two tables of pairs in one square: one above the diagonal, one below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from triptych.core.protocols import Indices, Matrix
from triptych.plots.heat import name_axes
from triptych.plots.names import TYPE
from triptych.plots.palette import INK
from triptych.plots.scores import GREY

BOUNDS: Final = (0.001, 0.005, 0.01)  # the highest adjusted p of each step but the last two
LEVEL: Final = 0.05  # from here on a pair is black
STEPS: Final = (
    ("p ≤ 0.001", "#FDE9A9"), ("p ≤ 0.005", "#E0AE5B"), ("p ≤ 0.01", "#C0694B"), ("p < 0.05", "#7E3A6B"),
    ("p ≥ 0.05, not told apart", "#000000"),
)  # fmt: skip


def halves(
    ax: Axes, upper: Matrix, lower: Matrix, *, names: Sequence[str], titles: tuple[str, str], ink: str = INK
) -> None:
    """Draw a cell for each pair in the colours of `STEPS`; the diagonal and unknown pairs stay empty.

    Parameters
    ----------
    ax
        Where to draw.
    upper, lower
        Adjusted p-values, symmetric, shape (k, k); NaN = unknown. Only the half that is named is drawn.
    names
        Of the groups.
    titles
        What stands above the diagonal and below it.
    ink
        Colour of text and axes.
    """
    k = len(names)
    above = np.triu(np.ones((k, k), bool), 1)
    values = np.where(above, upper, np.where(above.T, lower, np.nan))
    steps = np.ma.masked_where(np.isnan(values), step(values))
    colours = ListedColormap([hexa for _, hexa in STEPS]).with_extremes(bad="#00000000")
    norm = BoundaryNorm(np.arange(len(STEPS) + 1) - 0.5, len(STEPS))
    ax.imshow(steps, cmap=colours, norm=norm, aspect="equal")
    name_axes(ax, names, names, ink, longest=TYPE)
    ax.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=GREY, linewidth=0.4, alpha=0.6)
    ax.tick_params(which="minor", length=0)
    ax.plot([-0.5, k - 0.5], [-0.5, k - 0.5], color=GREY, linewidth=0.8)
    ax.set_title(f"above: {titles[0]}   below: {titles[1]}", color=ink, fontsize=8)


def step(p: Matrix) -> Indices:
    """Which of `STEPS` each p-value falls into; a bound belongs to the step below it, 0.05 to the last."""
    tight = p * (1 - 1e-9)  # n × (p / n) is a little more than p
    return np.where(p >= LEVEL, len(STEPS) - 1, np.searchsorted(BOUNDS, tight, side="left"))
