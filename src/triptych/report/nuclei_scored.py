"""How well nuclei are found, organ by organ and type by type, segmenters side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.slots import Slot
from triptych.pipeline.record import RunRecord
from triptych.plots.intervals import RESULT, intervals
from triptych.report.canvas import Canvas
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, table, tag
from triptych.report.tables import View, cut, of_nuclei, reads_of
from triptych.report.wording import DASH, figure, interval, number

ALL: Final = "all"
MEAN: Final = "(mean)"
UNS: Final = "nuclei"  # under which key of uns the nuclei lie that were judged
DIGITS: Final = 3
MOST: Final = 24  # organs, or types, of a table


class Column(NamedTuple):
    """A score of a table: which metric, over images or pooled, its head, and whether more of it is better."""

    metric: str
    over: str
    head: str
    greater: bool = True


BY_ORGAN: Final = (
    Column("dice", "image", "Dice"), Column("aji", "image", "AJI"), Column("pq", "image", "PQ, by image"),
    Column("pq", "pooled", "PQ, pooled"), Column("detection-f1", "image", "F1 of detection"),
    Column("count-error", "image", "Error of number", greater=False),
)  # fmt: skip
BY_CLASS: Final = (
    Column("pq", "image", "PQ, by image"), Column("pq", "pooled", "PQ, pooled"),
    Column("type-f1", "image", "F1, by image"), Column("type-f1", "pooled", "F1, pooled"),
)  # fmt: skip
Rows = dict[tuple[str, str, str, str], Any]  # group, segmenter, metric, over → row


def scored_block(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """A chart and two tables; empty where nothing was judged."""
    found, told = cut(of_nuclei(record))
    if not found:
        return Html("")
    notes = dict.fromkeys([str(one.frame.attrs.get("note", "")) for one in found])
    words = [*filter(None, notes), *filter(None, [told, *_seen(facts, record, found)])]
    return join([
        tag("h3", "What was found of known nuclei"), *(tag("p", text, class_="note") for text in words),
        _chart(canvas, found), _by_organ(found), _by_class(found),
    ])  # fmt: skip


def _seen(facts: Facts, record: RunRecord, found: list[View]) -> list[str]:
    """Which organs the fits had seen, in sentences; those that are alike are told once."""
    reads, said = reads_of(record), dict[str, list[str]]()
    for one in found:
        slot = reads[one.table].get("nuclei", "")
        held = facts.table.uns.get(UNS, {}).get(Slot.parse(slot).key if slot else one.name)
        if held is None or not {"organs", "seen"} <= set(held) or not len(held["organs"]):
            continue
        old = sorted(set(np.asarray(held["organs"]).astype(str)[np.asarray(held["seen"], bool)]))
        words = f"had other tissue of {', '.join(old)} in it" if old else "had no tissue of that organ in it"
        said.setdefault(words, []).append(one.name)
    return [
        f"The fit by which each organ was judged {words}{_of(names, len(found))}."
        for words, names in said.items()
    ]


def _of(names: list[str], total: int) -> str:
    return f" ({', '.join(names)})" if len(names) < total else ""


def _chart(canvas: Canvas, found: list[View]) -> Html:
    """PQ of each organ and segmenter."""
    parts = []
    for one in found:
        rows = _select(one.frame, Column("pq", "image", ""), ALL)
        parts.append(
            rows.assign(name=rows["organ"], group=one.name, mark=RESULT)[
                ["name", "group", "mark", "value", "low", "high"]
            ]
        )
    frame = pd.concat(parts, ignore_index=True)
    organs = _organs(found)
    frame = frame[frame["name"].isin(organs)]
    if not np.isfinite(frame["value"]).any():
        return Html("")
    frame = frame.sort_values("name", key=lambda names: names.map(organs.index), kind="stable")

    def draw(ax: Axes, ink: str) -> None:
        intervals(ax, frame, label="panoptic quality, mean over images", ink=ink)

    height = 1.1 + (0.22 + 0.14 * len(found)) * len(organs)
    alt = "Panoptic quality of each organ and segmenter, with intervals where there are three images or more"
    return tag("figure", canvas.chart("nuclei-pq", draw, (5.2, height), alt), class_="broad narrow")


def _organs(found: Sequence[View]) -> list[str]:
    """All together first, unless there is but one, then each."""
    names = dict.fromkeys(name for one in found for name in one.frame["organ"])
    each = [name for name in names if name != ALL]
    return [*([ALL] if ALL in names and len(each) != 1 else []), *each][: MOST + 1]


def _select(frame: pd.DataFrame, column: Column, kind: str) -> pd.DataFrame:
    """Rows of one score and class, one for each organ."""
    return frame[
        (frame["metric"] == column.metric) & (frame["over"] == column.over) & (frame["class"] == kind)
    ]


def _by_organ(found: list[View]) -> Html:
    rows: Rows = {}
    for one in found:
        for column in BY_ORGAN:
            picked = _select(one.frame, column, ALL)
            rows |= {
                (str(r["organ"]), one.name, column.metric, column.over): r for r in picked.to_dict("records")
            }
    caption = "By organ, nuclei of whatever type; small: 95 % interval, of three images or more"
    return _grid(_organs(found), [one.name for one in found], BY_ORGAN, rows, ("Organ", caption))


def _by_class(found: list[View]) -> Html:
    """Of all organs together; empty where no types are told."""
    rows: Rows = {}
    for one in found:
        frame = one.frame[(one.frame["organ"] == ALL) & (one.frame["class"] != ALL)]
        for column in BY_CLASS:
            picked = frame[(frame["metric"] == column.metric) & (frame["over"] == column.over)]
            rows |= {
                (str(r["class"]), one.name, column.metric, column.over): r for r in picked.to_dict("records")
            }
    names = sorted(dict.fromkeys(key[0] for key in rows), key=lambda name: name != MEAN)[: MOST + 1]
    if not names:
        return Html("")
    tellers = [one.name for one in found if any(key[1] == one.name for key in rows)]
    caption = (
        "By type, all organs together. By image leaves out images without a nucleus of the type; pooled "
        "counts what is made up there"
    )
    return _grid(names, tellers, BY_CLASS, rows, ("Type", caption))


def _grid(
    groups: list[str], segmenters: list[str], columns: Sequence[Column], rows: Rows, words: tuple[str, str]
) -> Html:
    """A row for each group and segmenter; the best of a group is bold where there are several."""
    best = {
        (group, column): _best(
            [rows.get((group, name, column.metric, column.over)) for name in segmenters],
            greater=column.greater,
        )
        for group in groups
        for column in columns
    }
    lines: list[list[str | Html]] = []
    for group in groups:
        for name in segmenters:
            found = [rows.get((group, name, column.metric, column.over)) for column in columns]
            there = [row for row in found if row is not None]
            if not there:
                continue
            cells = [_cell(row, best[group, column]) for row, column in zip(found, columns, strict=True)]
            most = max(there, key=lambda row: float(row["images"]))
            sizes = [figure(int(most[key])) for key in ("images", "true", "found")]
            lines.append([group, *([name] if len(segmenters) > 1 else []), *cells, *sizes])
    corner, caption = words
    several = ["Segmenter"] if len(segmenters) > 1 else []
    heads = [_head(column) for column in columns]
    head = [corner, *several, *heads, "Images", "Nuclei known", "found"]
    who = "" if several else f" ({segmenters[0]})"
    return tag("div", table(f"{caption}{who}", head, lines), class_="score")


def _head(column: Column) -> Html:
    return join([column.head, *([] if column.greater else [tag("small", " lower is better")])])


def _best(rows: list[Any], *, greater: bool) -> float:
    """The best value of several segmenters; NaN where there are not two."""
    values = [float(row["value"]) for row in rows if row is not None and np.isfinite(row["value"])]
    return (max(values) if greater else min(values)) if len(values) > 1 else np.nan


def _cell(row: Any, best: float) -> Html:
    if row is None:
        return join([DASH])
    text, bounds = number(row["value"], DIGITS), interval(row["low"], row["high"], DIGITS)
    value = tag("b", text) if row["value"] == best else join([text])
    return join([value, tag("small", f" {bounds}")]) if bounds else value
