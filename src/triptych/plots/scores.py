"""Values with intervals, and the controls in grey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from triptych.plots.names import LONGEST, as_text, ends
from triptych.plots.palette import INK, PALETTE

MEAN = "(mean)"
CONTROL = "control:"
IN = " in "  # between a slot and the space in which it was scored, where there are several
CONTROLS: Final = {"control:shuffled": ("|", "shuffled"), "control:oracle": ("d", "oracle")}
GREY = "#8A929C"


def scores(
    ax: Axes, table: pd.DataFrame, *, controls: Mapping[str, tuple[str, str]] = CONTROLS, ink: str = INK
) -> None:
    """Draw one metric: a row for each sample, a point with its interval for each slot.

    Parameters
    ----------
    ax
        Where to draw.
    table
        Rows of one metric, with columns ``sample``, ``slot``, ``value``, ``low``, ``high``. Slots that begin
        with ``control:`` are controls; the sample ``(mean)`` is the aggregate.
    controls
        Slot of a control → its mark and its name.
    ink
        Colour of text and axes.
    """
    samples = order(table["sample"])
    place = {name: float(row) for row, name in enumerate(samples)}
    if samples[:1] == [MEAN] and len(samples) > 1:
        place[MEAN] -= 0.35
        ax.axhline(0.4, color=GREY, linewidth=0.6)
    slots = list(dict.fromkeys(table["slot"].astype(str)))
    colours = slot_colours(slots)
    guesses = [slot for slot in slots if not slot.startswith(CONTROL)]
    for slot in slots:
        if slot.startswith(CONTROL):
            _controls(ax, table[table["slot"] == slot], place, named(slot, controls)[0])
    for index, slot in enumerate(guesses):
        shift = 0.22 * (index - (len(guesses) - 1) / 2)
        _points(ax, table[table["slot"] == slot], place, shift, colours[slot])
    _axes(ax, place, ink)
    _legend(ax, slots, controls, ink)


def order(samples: pd.Series[str]) -> list[str]:
    """The mean, then the samples as they come."""
    names = list(dict.fromkeys(samples.astype(str)))
    return [MEAN] * (MEAN in names) + [name for name in names if name != MEAN]


def _controls(ax: Axes, rows: pd.DataFrame, place: dict[str, float], mark: str) -> None:
    y = [place[str(name)] for name in rows["sample"]]
    style = {"markersize": 11, "markeredgewidth": 1.6} if mark == "|" else {"markersize": 5}
    ax.plot(rows["value"], y, mark, color=GREY, zorder=2, **style)


def _points(ax: Axes, rows: pd.DataFrame, place: dict[str, float], shift: float, colour: str) -> None:
    values = rows["value"].to_numpy(float)
    y = np.array([place[str(name)] for name in rows["sample"]]) + shift
    ax.hlines(
        y, rows["low"].to_numpy(float), rows["high"].to_numpy(float), color=colour, linewidth=2, zorder=3
    )
    mean = (rows["sample"] == MEAN).to_numpy()
    ax.plot(values[~mean], y[~mean], "o", color=colour, markersize=5.5, zorder=4)
    ax.plot(values[mean], y[mean], "D", color=colour, markersize=6.5, zorder=4)


def slot_colours(slots: Iterable[str]) -> dict[str, str]:
    """Colour of each slot: the controls are grey, the others follow the palette in their order."""
    slots = list(dict.fromkeys(slots))
    guesses = iter(PALETTE * len(slots))
    return {slot: GREY if slot.startswith(CONTROL) else next(guesses) for slot in slots}


def named(slot: str, controls: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Mark and name of a slot; that of a control is followed by its space where it has several."""
    base, apart, space = slot.partition(IN)
    mark, name = controls.get(base, ("x" if slot.startswith(CONTROL) else "o", base.partition(":")[2]))
    return mark, f"{name}{apart}{space}"


def _legend(ax: Axes, slots: list[str], controls: Mapping[str, tuple[str, str]], ink: str) -> None:
    shown = {slot: named(slot, controls) for slot in sorted(slots, key=lambda slot: slot.startswith(CONTROL))}
    colours = slot_colours(slots)
    handles = [
        Line2D([], [], color=colours[slot], linestyle="", marker=mark) for slot, (mark, _) in shown.items()
    ]
    names = [name for _, name in shown.values()]
    drawn = ax.legend(
        handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, labelcolor=ink,
        fontsize=9, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    as_text(drawn.get_texts())


def _axes(ax: Axes, place: dict[str, float], ink: str) -> None:
    ax.set_yticks(list(place.values()), labels=[ends(name, LONGEST) for name in place])
    as_text(ax.get_yticklabels())
    ax.set_ylim(max(place.values(), default=0) + 0.6, min(place.values(), default=0) - 0.6)
    ax.margins(x=0.06)
    ax.tick_params(colors=ink, labelsize=9, length=0)
    ax.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)
