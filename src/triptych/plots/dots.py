"""Genes of groups as dots: how many observations have a gene, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from triptych.core.protocols import Matrix
from triptych.plots.heat import bar, name_axes
from triptych.plots.palette import INK
from triptych.plots.scores import GREY

AREA: Final = 110.0  # points² of a dot that stands for all observations
SHOWN: Final = (0.25, 0.5, 1.0)  # shares in the legend


def dots(
    ax: Axes, share: Matrix, level: Matrix, *, groups: Sequence[str], genes: Sequence[str], ink: str = INK
) -> None:
    """Draw a row of dots for each group.

    Parameters
    ----------
    ax
        Where to draw.
    share
        Share of the group's observations that have the gene: the area of the dot, shape (k, g).
    level
        Mean expression, each gene scaled to [0, 1] over the groups: the colour, shape (k, g).
    groups, genes
        Names of rows and columns.
    ink
        Colour of text and axes.
    """
    k, g = share.shape
    x, y = np.meshgrid(np.arange(g), np.arange(k))
    drawn = ax.scatter(
        x.ravel(), y.ravel(), s=AREA * share.ravel(), c=level.ravel(), cmap="cividis", vmin=0, vmax=1,
        edgecolors=GREY, linewidths=0.5, zorder=2,
    )  # fmt: skip
    ax.set_xlim(-0.7, g - 0.3)
    ax.set_ylim(k - 0.4, -0.6)
    name_axes(ax, groups, genes, ink)
    ax.grid(color=GREY, alpha=0.25, linewidth=0.5)
    ax.set_axisbelow(True)
    bar(ax, drawn, "mean expression, scaled", ink)
    _legend(ax, ink)


def _legend(ax: Axes, ink: str) -> None:
    handles = [
        Line2D([], [], linestyle="", marker="o", color=GREY, markersize=np.sqrt(AREA * share))
        for share in SHOWN
    ]
    names = [f"{share:.0%}" for share in SHOWN]
    ax.legend(
        handles, names, title="of observations", loc="lower left", bbox_to_anchor=(0, 1), ncols=len(SHOWN),
        frameon=False, labelcolor=ink, fontsize=8, title_fontsize=8, handletextpad=0.4, columnspacing=1.2,
    ).get_title().set_color(ink)  # fmt: skip
