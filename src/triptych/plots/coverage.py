"""How often intervals hold what is known, section by section, against what they promise."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK
from triptych.plots.scores import GREY, MEAN, order, slot_colours

APART: Final = 0.22  # of a row, between the points of two slots


def coverage(ax: Axes, table: pd.DataFrame, *, ink: str = INK) -> None:
    """Draw a row for each section, a point for each slot, and a line at each level.

    Parameters
    ----------
    ax
        Where to draw.
    table
        Columns ``sample``, ``slot``, ``value`` (measured, 0 to 1) and ``level`` (promised); the sample
        ``(mean)`` is the mean over the sections and is set apart.
    ink
        Colour of text and axes.
    """
    samples = order(table["sample"])
    place = {name: float(row) - 0.35 * (name == MEAN) for row, name in enumerate(samples)}
    colours = slot_colours(table["slot"].astype(str))
    for level in sorted(table["level"].dropna().unique()):
        ax.axvline(level, color=ink, linewidth=1.1, zorder=1)
    for index, (slot, colour) in enumerate(colours.items()):
        rows = table[table["slot"].astype(str) == slot]
        shift = APART * (index - (len(colours) - 1) / 2)
        y = np.array([place[str(name)] for name in rows["sample"]]) + shift
        values, mean = rows["value"].to_numpy(float), (rows["sample"] == MEAN).to_numpy()
        ax.hlines(y, rows["level"].to_numpy(float), values, color=colour, linewidth=1.2, alpha=0.5, zorder=2)
        for some, mark in ((~mean, "o"), (mean, "D")):
            ax.plot(values[some], y[some], mark, color=colour, markersize=6, zorder=3)
    _axes(ax, place, float(table["value"].min()), ink)
    _legend(ax, colours, ink)


def _axes(ax: Axes, place: dict[str, float], least: float, ink: str) -> None:
    ax.set_yticks(list(place.values()), labels=[ends(name) for name in place])
    as_text(ax.get_yticklabels())
    ax.set_ylim(max(place.values()) + 0.6, min(place.values()) - 0.6)
    ax.set_xlim(min(0.5, 0.95 * least) if np.isfinite(least) else 0.0, 1.02)
    ax.set_xlabel("share of known values inside their interval", color=ink, fontsize=9)
    ax.tick_params(colors=ink, labelsize=9, length=0)
    ax.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)


def _legend(ax: Axes, colours: dict[str, str], ink: str) -> None:
    """Slots, and what the line is."""
    handles = [Line2D([], [], color=colour, linestyle="", marker="o") for colour in colours.values()]
    drawn = ax.legend(
        [*handles, Line2D([], [], color=ink, linewidth=1.1)],
        [*(ends(slot.partition(":")[2] or slot) for slot in colours), "level promised"],
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, labelcolor=ink, fontsize=9,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
    as_text(drawn.get_texts())
