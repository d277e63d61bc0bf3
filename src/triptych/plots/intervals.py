"""Arms of a comparison: values with intervals, differences from zero, and the sections behind them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK, PALETTE
from triptych.plots.scores import GREY

RESULT: Final = "result"
BASELINE: Final = "simple baseline"
OPEN: Final = "not told apart"
MARKERS: Final = {RESULT: "o", BASELINE: "s", OPEN: "o"}
MANY: Final = 12  # groups that get a colour each
BAND: Final = 0.62  # of a row, that its points take up


def intervals(ax: Axes, table: pd.DataFrame, *, label: str, zero: bool = False, ink: str = INK) -> None:
    """Draw a forest plot: a row for each name, a point with its interval for each group.

    Parameters
    ----------
    ax
        Where to draw.
    table
        Columns ``name``, ``group``, ``mark`` (`RESULT`, `BASELINE`, or `OPEN` for a hollow point), ``value``,
        ``low`` and ``high``; what is not finite is left out.
    label
        Of the axis.
    zero
        Whether to draw a line at zero.
    ink
        Colour of text and axes.
    """
    names, groups = _unique(table["name"]), _unique(table["group"])
    colours, shifts = _colours(groups), _shifts(len(groups))
    if zero:
        ax.axvline(0, color=ink, linewidth=1.1, zorder=1)
    for group, shift in zip(groups, shifts, strict=True):
        rows = table[table["group"].astype(str) == group]
        y = _rows(rows["name"], names) + shift
        low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
        ax.hlines(y, low, high, color=colours[group], linewidth=2, zorder=3)
        for mark in _unique(rows["mark"]):
            some = (rows["mark"] == mark).to_numpy()
            _points(ax, rows["value"].to_numpy(float)[some], y[some], colours[group], mark)
    _axes(ax, names, label, ink)
    _legend(ax, colours, [mark for mark in _unique(table["mark"]) if mark != RESULT], ink)


def dots(ax: Axes, table: pd.DataFrame, *, label: str, bound: float | None = None, ink: str = INK) -> None:
    """Draw every section: its mean over the seeds large, the seeds small, a line from the least to the most.

    Parameters
    ----------
    ax
        Where to draw.
    table
        A row for each seed, with columns ``name``, ``sample``, ``group`` (its colour) and ``value``.
    label
        Of the axis.
    bound
        Where to draw a line; the axis then begins at zero. None: no line.
    ink
        Colour of text and axes.
    """
    names, samples, groups = (_unique(table[column]) for column in ("name", "sample", "group"))
    colours = _colours(groups)
    place = dict(zip(samples, _shifts(len(samples)), strict=True))
    table = table.assign(
        y=_rows(table["name"], names) + np.array([place[str(name)] for name in table["sample"]]),
        colour=[colours[str(name)] for name in table["group"]],
    )
    each = table.groupby(["y", "colour"])["value"].agg(["mean", "min", "max"]).reset_index()
    ax.hlines(each["y"], each["min"], each["max"], colors=each["colour"], linewidth=1, alpha=0.6, zorder=2)
    ax.scatter(table["value"], table["y"], s=9, c=table["colour"], alpha=0.5, linewidths=0, zorder=3)
    ax.scatter(each["mean"], each["y"], s=26, c=each["colour"], linewidths=0, zorder=4)
    for row in range(1, len(names)):
        ax.axhline(row - 0.5, color=GREY, alpha=0.3, linewidth=0.6)
    if bound is not None:
        ax.axvline(bound, color=ink, linewidth=1.1, zorder=1)
    _axes(ax, names, label, ink)
    if bound is not None:
        ax.set_xlim(left=0)
    _legend(ax, colours, [], ink)


def _unique(column: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(map(str, column)))


def _rows(column: pd.Series[str], names: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The height of each row; the first name is on top."""
    place = {name: float(row) for row, name in enumerate(names)}
    return np.array([place[str(name)] for name in column], float)


def _shifts(number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Heights within a row of ``number`` points one below the other."""
    return BAND * (np.arange(number) - (number - 1) / 2) / max(number, 2)


def _colours(groups: list[str]) -> dict[str, str]:
    """A colour for each group; when there are too many to tell apart, one for all."""
    if len(groups) > MANY:
        return dict.fromkeys(groups, PALETTE[0])
    return dict(zip(groups, cycle(PALETTE)))


def _points(ax: Axes, values: np.ndarray, y: np.ndarray, colour: str, mark: str) -> None:
    face = "none" if mark == OPEN else colour
    ax.plot(
        values, y, MARKERS.get(mark, "o"), color=colour, markerfacecolor=face, markersize=6.5,
        markeredgewidth=1.6, linestyle="", zorder=5,
    )  # fmt: skip


def _axes(ax: Axes, names: list[str], label: str, ink: str) -> None:
    ax.set_yticks(range(len(names)), labels=[ends(name) for name in names])
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)
    ax.set_xlabel(ends(label, 60), color=ink, fontsize=9)
    as_text([*ax.get_yticklabels(), ax.xaxis.label])
    ax.margins(x=0.05)
    ax.tick_params(colors=ink, labelsize=9, length=0)
    ax.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)


def legend_columns(names: Iterable[str]) -> int:
    """How many names stand side by side in a legend, 1 … 6."""
    longest = max((len(ends(name)) for name in names), default=0)
    return max(1, min(6, 80 // (longest + 6)))


def _legend(ax: Axes, colours: dict[str, str], marks: list[str], ink: str) -> None:
    """Groups, when there are several, and what a square or a hollow point means."""
    shown = colours if 1 < len(colours) <= MANY else {}
    handles = [Line2D([], [], color=shade, linestyle="", marker="o") for shade in shown.values()]
    for mark in marks:
        face = "none" if mark == OPEN else GREY
        handles.append(
            Line2D([], [], color=GREY, linestyle="", marker=MARKERS.get(mark, "o"), markerfacecolor=face)
        )
    if not handles:
        return
    names = [*map(ends, shown), *marks]
    drawn = ax.legend(
        handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=legend_columns(names),
        frameon=False, labelcolor=ink, fontsize=9, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    as_text(drawn.get_texts())
