"""Several measures of the same things: horizontal bars, one lane for each measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK, PALETTE
from triptych.plots.scores import GREY

LANE: Final = 1.55  # from the beginning of a lane to that of the next; a bar is at most 1 long
THICK: Final = 0.72  # of a row, that its bars take up


def lanes(
    ax: Axes, table: pd.DataFrame, *, floors: Mapping[str, float] | None = None, ink: str = INK
) -> None:
    """Draw bars with their numbers; every lane has a scale of its own that holds zero.

    Parameters
    ----------
    ax
        Where to draw.
    table
        Columns ``row``, ``lane``, ``value``, ``low``, ``high``; rows and lanes stand as they come first.
        Several values of one row in one lane stand one below the other; what is not finite is left out.
    floors
        Lane → the value of a result that knows nothing, drawn as a line.
    ink
        Colour of text and axes.
    """
    rows, names = (list(dict.fromkeys(table[column].astype(str))) for column in ("row", "lane"))
    for index, name in enumerate(names):
        some = table[(table["lane"].astype(str) == name) & np.isfinite(table["value"].to_numpy(float))]
        _lane(ax, some, index, rows, (floors or {}).get(name, np.nan))
    ax.set_yticks(range(len(rows)), labels=[ends(name) for name in rows])
    ax.set_xticks([LANE * index for index in range(len(names))], labels=names, ha="left")
    ax.xaxis.tick_top()
    as_text([*ax.get_yticklabels(), *ax.get_xticklabels()])
    ax.tick_params(colors=ink, labelsize=9, length=0)
    for text in ax.texts:
        text.set_color(ink)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(-0.05, LANE * len(names))
    for spine in ax.spines.values():
        spine.set_visible(False)


def _lane(ax: Axes, table: pd.DataFrame, index: int, rows: list[str], floor: float) -> None:
    """The bars of one measure, from its zero; the least value below zero begins the lane."""
    values = table["value"].to_numpy(float)
    reach = np.concatenate([values, table["high"].to_numpy(float), [floor, 0.0]])
    least = float(np.nanmin(np.concatenate([values, table["low"].to_numpy(float), [floor, 0.0]])))
    scale = 1 / max(float(np.nanmax(reach)) - least, 1e-9)
    start = LANE * index

    def at(value: float) -> float:
        return start + (value - least) * scale

    for name, some in table.groupby(table["row"].astype(str), sort=False):
        thick, middle = THICK / len(some), (len(some) - 1) / 2
        for place, bar in enumerate(some.itertuples()):
            y, value = rows.index(str(name)) + thick * (place - middle), float(bar.value)  # type: ignore[arg-type]
            low, high = float(bar.low), float(bar.high)  # type: ignore[arg-type]
            ax.barh(y, value * scale, 0.9 * thick, left=at(0), color=PALETTE[place % len(PALETTE)], alpha=0.8)
            if np.isfinite(low + high):
                ax.plot([at(low), at(high)], [y, y], "|-", color=GREY, linewidth=1.2, markersize=5, zorder=3)
            text = f"{value:.2f}".replace("-", "−")
            right = max(at(value), at(0), at(high) if np.isfinite(high) else start)
            ax.text(right + 0.06, y, text, va="center", fontsize=8 if len(some) < 3 else 6)
    ax.axvline(at(0), color=GREY, linewidth=0.8, zorder=1)
    if np.isfinite(floor):
        ax.axvline(at(floor), color=GREY, linewidth=1, linestyle=":", zorder=1)
