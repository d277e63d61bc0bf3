"""The figures of a comparison."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from triptych.plots.intervals import BASELINE, MANY, OPEN, RESULT, dots, intervals, legend_columns
from triptych.plots.scores import CONTROL, MEAN
from triptych.report.canvas import Canvas, slug
from triptych.report.comparing_grids import is_simple, ranked, way, ways, worded
from triptych.report.comparison import Comparison
from triptych.report.markup import Html, join, tag
from triptych.report.wording import DASH, heading, metric_name

WIDTH = 7.6  # inches
TALLEST = 40.0


def figures(canvas: Canvas, result: Comparison, metric: str) -> Html:
    """The arms, their differences from the reference, and the sections of each; none without values."""
    parts = [*_arms(canvas, result, metric), *_differences(canvas, result, metric)]
    return join([*parts, *_sections(canvas, result, metric)])


def _arms(canvas: Canvas, result: Comparison, metric: str) -> list[Html]:
    order, rows = ranked(result, metric), result.of(metric)
    table = rows.assign(
        name=rows["arm"].astype(str),
        group=[way(worded(value)) for value in rows["k_from"]],
        mark=[BASELINE if is_simple(str(arm)) else RESULT for arm in rows["arm"]],
    )
    draw = partial(_forest, table=_sorted(table, order), label=heading(metric))
    words = "Mean of each arm; the line is its interval."
    return [_chart(canvas, f"arms-{slug(metric)}", draw, _size(order, table), words)]


def _differences(canvas: Canvas, result: Comparison, metric: str) -> list[Html]:
    rows = result.pairs[result.pairs["metric"].astype(str) == metric] if len(result.pairs) else result.pairs
    if not len(rows):
        return []
    references = list(dict.fromkeys(rows["reference"].astype(str)))
    several = len(references) > 1
    table = rows.assign(
        name=[f"{row.arm} − {row.reference}" if several else str(row.arm) for row in rows.itertuples()],
        group=[way(worded(value)) for value in rows["k_from"]],
        mark=[OPEN if verdict == OPEN else RESULT for verdict in rows["better"].astype(str)],
        value=rows["difference"],
    )
    side = "right of zero is better" if result.greater(metric) else "left of zero is better"
    against = "the reference" if several else references[0]
    label = f"{metric_name(metric)}, arm − {against}; {side}"
    order = ranked(result, metric)
    table = _sorted(table, order)
    draw = partial(_forest, table=table, label=label, zero=True)
    words = (
        f"Difference from {against}, paired by section; {side}. Hollow points are not told apart from zero."
    )
    size = _size(list(dict.fromkeys(table["name"])), table)
    return [_chart(canvas, f"differences-{slug(metric)}", draw, size, words)]


def _sections(canvas: Canvas, result: Comparison, metric: str) -> list[Html]:
    runs = result.runs
    if not len(runs):
        return []
    control = runs["slot"].astype(str).str.startswith(CONTROL) | (runs["sample"].astype(str) == MEAN)
    runs = runs[(runs["metric"].astype(str) == metric) & ~control & np.isfinite(runs["value"].astype(float))]
    parts = []
    for k in ways(runs):
        some = runs[runs["k_from"].map(worded) == k]
        column, kind = ("sample", "section") if some["sample"].nunique() <= MANY else ("donor", "donor")
        table = some.assign(
            name=some["arm"].astype(str), group=[worded(name) or DASH for name in some[column]]
        ).pipe(_sorted, ranked(result, metric))
        label = ", ".join(filter(None, [heading(metric), way(k)]))
        colours = f", in the colour of its {kind}" if table["group"].nunique() <= MANY else ""
        where = f", {way(k)}" if k else ""
        words = f"Every section{where}: large its mean over the seeds, small each seed{colours}."
        names = list(dict.fromkeys(table["name"]))
        name = f"sections-{slug(metric)}{f'-{slug(k)}' if k else ''}"
        parts.append(
            _chart(canvas, name, partial(_dotted, table=table, label=label), _size(names, table), words)
        )
    return parts


def _sorted(table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Arms in this order, and within an arm as they came."""
    place = {name: row for row, name in enumerate(order)}
    key = table["arm"].astype(str).map(lambda name: place.get(name, len(order)))
    return table.assign(key=key).sort_values("key", kind="stable").drop(columns="key")


def _forest(ax: Any, ink: str, *, table: pd.DataFrame, label: str, zero: bool = False) -> None:
    intervals(ax, table, label=label, zero=zero, ink=ink)


def _dotted(ax: Any, ink: str, *, table: pd.DataFrame, label: str) -> None:
    dots(ax, table, label=label, ink=ink)


def _size(names: list[str], table: pd.DataFrame) -> tuple[float, float]:
    """Inches: a row for each name, as high as its groups need, and room for the legend."""
    entries = [name for name in dict.fromkeys(table["group"]) if name]
    points = table["sample"].nunique() if "sample" in table.columns else len(entries)
    row = 0.26 + 0.03 * min(points, MANY)
    legend = 0.22 * np.ceil((len(entries) + 1) / legend_columns(entries)) if len(entries) <= MANY else 0.2
    return WIDTH, min(TALLEST, 0.75 + legend + row * len(names))


def _chart(canvas: Canvas, name: str, draw: Any, size: tuple[float, float], words: str) -> Html:
    return tag("figure", canvas.chart(name, draw, size, words), tag("figcaption", words), class_="forest")
