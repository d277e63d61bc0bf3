"""Tables in a paper's form: metrics and some factors down, the levels of one factor across."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from triptych.report.comparing_grids import Cell, Grid, number_of, shade_of, way, ways, worded
from triptych.report.comparison import Comparison, Layout
from triptych.report.wording import DASH, heading

OTHER = 0.5  # clusters more or fewer than usual, on the mean over seeds
Row = tuple[str, ...]  # metric, then the levels that name the row


def wide(result: Comparison, layout: Layout) -> pd.DataFrame:
    """A table as it is written: a row for each way of finding K, metric and combination of levels.

    Parameters
    ----------
    result
        What was found.
    layout
        Which arms stand where.

    Returns
    -------
    Columns ``k_from``, ``metric``, the factors of the rows, then for each level its mean over sections and
    seeds, and for each again ``LEVEL (sd)``, the standard deviation over seeds. NaN where no arm stands.
    """
    across, lines = _across(layout), []
    for k in _ways(result):
        found = _found(result, layout, k)
        for row in _rows(layout, found):
            cells = [found.get((*row, level)) for level in across]
            values = [np.nan if one is None else one.value for one in cells]
            lines.append([k, *row, *values, *(np.nan if one is None else one.sd_seeds for one in cells)])
    heads = ["k_from", "metric", *layout.rows, *across, *(f"{level} (sd)" for level in across)]
    return pd.DataFrame(lines, columns=heads)


def wide_grids(result: Comparison, layout: Layout) -> list[Grid]:
    """A table as it is shown, one for each way of finding K, the best of each row marked.

    The colour says how good a value is among all of its metric. A factor of one level names no row, and a
    number of clusters is told where it is not the usual one.
    """
    grids = []
    for k in _ways(result):
        found = _found(result, layout, k)
        rows = list(_rows(layout, found))
        if not rows:
            continue
        lines = [_line(row, result, layout, found) for row in rows]
        several = way(k) if len(_ways(result)) > 1 else ""
        words = [
            "Mean over seeds ± standard deviation",
            several,
            *_protocols(found),
            "best of each row in bold",
        ]
        caption = ". ".join(filter(None, ["; ".join(filter(None, words)), layout.note]))
        heads = ["Metric", *(name[:1].upper() + name[1:] for name in _telling(layout))]
        grids.append(Grid(caption, [*heads, *_across(layout)], lines))
    return grids


def _line(row: Row, result: Comparison, layout: Layout, found: dict[Row, Any]) -> list[Cell]:
    greater = result.greater(row[0])
    every = [float(one.value) for key, one in found.items() if key[0] == row[0] and pd.notna(one.value)]
    usual = _usual(found)
    cells = [found.get((*row, level)) for level in _across(layout)]
    values = [round(float(one.value), 12) for one in cells if one is not None and pd.notna(one.value)]
    best = (max(values) if greater else min(values)) if len(values) > 1 else np.nan
    return [
        Cell(heading(row[0])),
        *(Cell(row[1 + layout.rows.index(name)]) for name in _telling(layout)),
        *(_cell(one, best, usual, shade_of(one, every, greater=greater)) for one in cells),
    ]


def _cell(one: Any, best: float, usual: float, shade: float | None) -> Cell:
    if one is None or pd.isna(one.value):
        return Cell(DASH)
    k = float(getattr(one, "k", np.nan))
    other = f"{k:.0f} clusters" if abs(k - usual) >= OTHER else ""
    spread = "" if pd.isna(one.sd_seeds) else f"±{number_of(one.sd_seeds)}"
    small = "; ".join(filter(None, [spread, other]))
    return Cell(number_of(one.value), small, best=bool(round(float(one.value), 12) == best), shade=shade)


def _protocols(found: dict[Row, Any]) -> list[str]:
    """How everything was fitted; what a metric of a space adds to it is left to the chapter of the metric."""
    every = dict.fromkeys(filter(None, (worded(one.protocol) for one in found.values())))
    return [one for one in every if not any(one != other and one.startswith(other) for other in every)]


def _usual(found: dict[Row, Any]) -> float:
    """The number of clusters that most arms have; NaN when none is known."""
    counts = pd.Series([getattr(one, "k", np.nan) for one in found.values()], dtype=float).dropna().round()
    return float(counts.mode().iloc[0]) if len(counts) else np.nan


def _telling(layout: Layout) -> list[str]:
    """The factors of the rows that have several levels."""
    return [name for name in layout.rows if layout.arms[name].nunique() > 1]


def _ways(result: Comparison) -> list[str]:
    return ways(result.summary) if len(result.summary) else []


def _across(layout: Layout) -> list[str]:
    """The levels that stand side by side, in the order of the arms."""
    return list(dict.fromkeys(layout.arms[layout.columns].astype(str)))


def _rows(layout: Layout, found: dict[Row, Any]) -> Iterator[Row]:
    """Metric and levels of each row that has a value, in the order of the factors' levels."""
    order = {name: list(dict.fromkeys(layout.arms[name].astype(str))) for name in layout.rows}
    present = dict.fromkeys(key[:-1] for key in found)
    metrics = list(layout.metrics)
    yield from sorted(
        present,
        key=lambda row: (
            metrics.index(row[0]),
            *(order[name].index(level) for name, level in zip(layout.rows, row[1:], strict=True)),
        ),
    )


def _found(result: Comparison, layout: Layout, k: str) -> dict[Row, Any]:
    """Metric, levels of the row, level of the column → the row of the summary."""
    rows = result.summary[result.summary["k_from"].map(worded) == k]
    levels = {str(arm): one for arm, one in layout.arms.astype(str).to_dict("index").items()}
    found: dict[Row, Any] = {}
    for one in rows.itertuples():
        arm, metric = str(one.arm), str(one.metric)
        if arm in levels and metric in layout.metrics:
            mine = levels[arm]
            found[(metric, *(mine[name] for name in layout.rows), mine[layout.columns])] = one
    return found
