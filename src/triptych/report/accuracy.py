"""How well each view predicts the known types: recall by type, and what neighbouring cells lend to it."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from triptych.core.protocols import Vector
from triptych.report.canvas import Canvas
from triptych.report.grids import ABREAST, MEAN, type_grid
from triptych.report.markup import Html, join, table, tag
from triptych.report.tables import View, cut, types_of
from triptych.report.wording import DASH, number

FOLDS: Final = {"random": "Random folds", "blocks": "Folds of whole spatial blocks"}
NOTE: Final = (
    "Compare the views down a column: a number is the share of a type's held-out cells that a random "
    "forest recognises in that view, and (mean) their mean, the balanced accuracy. In random folds the "
    "neighbours of a cell are in the training part; only whole blocks held out say what the view would "
    "tell of new tissue. Nothing here says that two views together would tell more."
)


def accuracy_block(canvas: Canvas, found: list[View]) -> Html:
    """A heat map for each kind of folds, and the balanced accuracies.

    Parameters
    ----------
    canvas
        Draws.
    found
        Tables of forests, one for each view.
    """
    found, told = cut(found)
    types, few = types_of([one.frame for one in found])
    notes = [NOTE, *filter(None, (told, few))]
    charts = [_chart(canvas, found, types, folds) for folds in FOLDS if _has(found, folds)]
    side = "" if len(types) <= ABREAST else "scores"  # tall ones stand side by side
    lines = [tag("li", text) for text in filter(None, (_sentence(one) for one in found))]
    said = tag("ul", *lines, class_="note") if lines else Html("")
    return join([
        tag("h3", "Known types predicted from each view"),
        *(tag("p", text, class_="note") for text in notes),
        tag("div", *charts, class_=side), _balanced(found), said,
    ])  # fmt: skip


def mean_of(frame: pd.DataFrame, folds: str, column: str = "recall") -> float:
    """A number of the row of the balanced accuracy; NaN where there is none."""
    rows = frame[(frame["folds"] == folds) & (frame["group"] == MEAN)]
    return float(rows[column].iloc[0]) if len(rows) else np.nan


def _has(found: list[View], folds: str) -> bool:
    return any((one.frame["folds"] == folds).any() for one in found)


def _chart(canvas: Canvas, found: list[View], types: list[str], folds: str) -> Html:
    rows = {one.name: _recalls(one.frame, folds, [*types, MEAN]) for one in found}
    values = pd.DataFrame.from_dict(rows, orient="index", columns=[*types, MEAN])
    alt = f"Heat map of the recall of {len(types)} known types, {FOLDS[folds].lower()}: {', '.join(rows)}"
    picture = type_grid(canvas, f"accuracy-{folds}", values, label="recall", alt=alt)
    return tag("figure", tag("figcaption", FOLDS[folds]), picture, class_="broad")


def _recalls(frame: pd.DataFrame, folds: str, columns: list[str]) -> Vector:
    """Recall of each type, shape (k,); NaN where it was not tested."""
    rows = frame[frame["folds"] == folds].drop_duplicates("group").set_index("group")["recall"]
    return rows.reindex(columns).to_numpy(float)


def _balanced(found: list[View]) -> Html:
    """A line for each view."""
    lines, types = [], max(one.frame.loc[one.frame["group"] != MEAN, "group"].nunique() for one in found)
    for one in found:
        random, blocks = mean_of(one.frame, "random"), mean_of(one.frame, "blocks")
        shuffled = mean_of(one.frame, "random", "shuffled")
        if np.isnan(shuffled):
            shuffled = mean_of(one.frame, "blocks", "shuffled")
        lines.append([
            one.name, _spread(one.frame, "random"), _spread(one.frame, "blocks"), number(random - blocks),
            number(shuffled),
        ])  # fmt: skip
    head: list[str | Html] = [
        "View", "Random folds", "Whole blocks", "Difference",
        join(["Shuffled", tag("small", f" 1 / {types} = {1 / max(types, 1):.2f} by chance")]),
    ]  # fmt: skip
    caption = "Balanced accuracy of a random forest, with its deviation over the folds"
    return table(caption, head, lines)


def _spread(frame: pd.DataFrame, folds: str) -> Html:
    value, deviation = mean_of(frame, folds), mean_of(frame, folds, "deviation")
    if np.isnan(value):
        return join([DASH])
    return join([tag("b", number(value, 3)), "" if np.isnan(deviation) else f" ± {number(deviation, 3)}"])


def _sentence(one: View) -> str:
    """What random folds overstate in a view: in the words of the analysis, else made of its numbers."""
    note = one.frame.attrs.get("note")
    if isinstance(note, str) and note:
        return f"{one.name}: {note}"
    random, blocks = mean_of(one.frame, "random"), mean_of(one.frame, "blocks")
    if np.isnan(random - blocks):
        return ""
    shown = f"{one.name}: random folds {number(random)}, folds of whole blocks {number(blocks)}"
    if random <= blocks:
        return f"{shown}: neighbouring cells lend nothing."
    return f"{shown}: the difference of {number(random - blocks)} is what neighbouring cells lend."
