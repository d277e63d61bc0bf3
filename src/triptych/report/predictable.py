"""Which cell types can be predicted at all: better than what knows only where a spot lies, or nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.plots.intervals import OPEN, RESULT, intervals
from triptych.report.canvas import Canvas, slug
from triptych.report.markup import Html, join, table, tag
from triptych.report.tables import TYPES, View
from triptych.report.wording import DASH, figure, interval, number

NAMED: Final = 12  # types that a sentence names
NOTE: Final = (
    "A point is by how much the correlation of the guess with the target exceeds that of the control, the "
    "line its interval. Hollow points are not told apart from the control: the interval holds zero."
)


def predictable_block(canvas: Canvas, found: list[View]) -> Html:
    """For each control a forest plot of the types and the verdicts in words; empty without a table."""
    blocks: list[Html] = []
    for one in found:
        for control, rows in one.frame.groupby("control", sort=False):
            blocks.append(_block(canvas, one.table, str(control), rows))
        note = one.frame.attrs.get("note")
        if isinstance(note, str) and note:
            blocks.append(tag("p", note, class_="note"))
    if not blocks:
        return Html("")
    return join([
        tag("h3", "Which cell types can be predicted"), tag("p", NOTE, class_="note"),
        tag("div", *blocks, class_="scores"),
    ])  # fmt: skip


def _block(canvas: Canvas, name: str, control: str, rows: pd.DataFrame) -> Html:
    order = _sorted(rows)
    drawn = _drawn(rows, order[:TYPES])
    groups = drawn["group"].nunique()

    def draw(ax: Axes, ink: str) -> None:
        intervals(ax, drawn, label=f"correlation of the guess − of {control}", zero=True, ink=ink)

    size = (6.4, 1.2 + (0.24 + 0.1 * groups) * min(len(order), TYPES))
    alt = f"Difference of correlations from {control} of {len(order)} types, with intervals"
    picture = canvas.chart(f"predictable-{slug(name)}-{slug(control)}", draw, size, alt)
    few = f"The first {TYPES} of {len(order)} types are drawn; tables/{name}.csv holds all."
    told = [tag("p", few, class_="note")] if len(order) > TYPES else []
    return tag(
        "article", tag("h3", f"Against {control}"), tag("ul", *(tag("li", text) for text in verdicts(rows))),
        *told, tag("figure", picture, class_="broad narrow"), _table(rows, order), class_="score wide",
    )  # fmt: skip


def verdicts(rows: pd.DataFrame) -> list[str]:
    """For each guess and verdict, how many types and which."""
    lines = []
    for guess, mine in rows.groupby("guess", sort=False):
        for verdict, some in mine.groupby("verdict", sort=False):
            names = list(some.sort_values("difference", ascending=False)["type"])
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(
                f"{guess}: {verdict}: {len(names)} of {len(mine)} types ({', '.join(names[:NAMED])}{more})."
            )
    return lines


def _sorted(rows: pd.DataFrame) -> list[str]:
    """Types by falling difference, of the guess that is best at each; those without one last."""
    best = rows.groupby("type", sort=False)["difference"].max()
    return list(best.sort_values(ascending=False, kind="stable", na_position="last").index)


def _drawn(rows: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """The columns of a forest plot."""
    place = {name: rank for rank, name in enumerate(order)}
    some = rows[rows["type"].isin(place)].copy()
    some = some.iloc[np.argsort(some["type"].map(place).to_numpy(), kind="stable")]
    unsure = ~((some["low"] > 0) | (some["high"] < 0))
    return pd.DataFrame({
        "name": some["type"], "group": some["guess"], "mark": np.where(unsure, OPEN, RESULT),
        "value": some["difference"], "low": some["low"], "high": some["high"],
    })  # fmt: skip


def _table(rows: pd.DataFrame, order: list[str]) -> Html:
    """A line for each type and guess."""
    place = {name: rank for rank, name in enumerate(order)}
    lines = []
    for row in rows.iloc[np.argsort(rows["type"].map(place).to_numpy(), kind="stable")].itertuples():
        difference = join([
            tag("b", number(row.difference)), tag("small", f" {interval(row.low, row.high)}"),  # type: ignore[arg-type]
        ])  # fmt: skip
        lines.append([
            str(row.type), str(row.guess), number(row.pearson), number(row.pearson_control), difference,  # type: ignore[arg-type]
            number(getattr(row, "skill", np.nan)), str(row.verdict),
            figure(int(row.n)) if np.isfinite(row.n) else DASH,  # type: ignore[arg-type]
        ])  # fmt: skip
    head = ["Type", "Guess", "Correlation", "Of the control", "Difference", "Skill", "Verdict", "n"]
    return table("Correlation within sections, by type", head, lines)
