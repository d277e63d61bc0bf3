"""The chapter of scores: for each metric a chart and a table, then how many clusters there are."""

from __future__ import annotations

import pandas as pd

from triptych.pipeline.record import RunRecord
from triptych.plots.scores import IN, named, order, slot_colours
from triptych.report.canvas import Canvas
from triptych.report.clusters import cluster_section, numbers, parts, says_k
from triptych.report.directions import Controls, controls, explained, higher_is_better
from triptych.report.facts import Facts
from triptych.report.labellings import crowded, labelling_block
from triptych.report.markup import Html, join, table, tag
from triptych.report.pictures import score_chart
from triptych.report.results import dot
from triptych.report.wording import (
    CLUSTERS,
    DASH,
    digits_of,
    heading,
    interval,
    is_control,
    metric_name,
    number,
    title,
)

POINTS = "Points are values, lines their intervals. Grey marks are controls"
NOTE = (
    f"{POINTS}: a bar for the predicted labels shuffled, which know nothing, and a diamond for the known "
    "labels themselves (oracle)"
)

SPACE = r", in obsm:(\S+)$"  # how a protocol ends


def score_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """For each metric a chart and a table, and the numbers of clusters once."""
    names = [name for name in dict.fromkeys(record.scores["metric"].astype(str)) if name != CLUSTERS]
    if not names:
        return tag("p", "Nothing was scored: no labels are known, or the recipe has no step that scores.")
    counted, many = numbers(facts, record), crowded(record)
    blocks = [labelling_block(canvas, facts, record, many)] if many else []
    told = many and len(facts.samples.names) < 2  # that block has the numbers of clusters already
    notes, alike = _explained(record)
    for metric in names:
        rows = _apart(record.scores[record.scores["metric"] == metric])
        if metric not in many:
            blocks.append(_block(canvas, metric, rows, counted, told=not alike))
        elif rows.loc[~rows["slot"].map(is_control).astype(bool), "sample"].nunique() > 1:
            blocks.append(_by_section(metric, rows, counted))
    points = len(many) < len(names)
    unusual = ", unless the note of a score says otherwise" if any(notes) else ""
    note = f"{POINTS}. {notes[0]}" if alike else f"{NOTE}{unusual}."
    if not told:
        blocks.append(cluster_section(facts, record))
    return join([
        *([tag("p", note, class_="note")] if points else []), tag("div", *blocks, class_="scores"),
    ])  # fmt: skip


def _explained(record: RunRecord) -> tuple[list[str], bool]:
    """What the controls of the results mean, and whether that is the same unusual thing for all scores."""
    rows = record.scores.loc[record.scores["metric"] != CLUSTERS, ["metric", "slot"]].astype(str)
    pairs = [(metric, slot) for metric, slot in rows.drop_duplicates().to_numpy() if not is_control(slot)]
    notes = list(dict.fromkeys(explained(metric, slot) for metric, slot in pairs))
    return notes, len(notes) == 1 and bool(notes[0]) and rows["metric"].nunique() > 1


def _block(
    canvas: Canvas, metric: str, rows: pd.DataFrame, counted: dict[str, str], *, told: bool = True
) -> Html:
    """A chart and a table, with what its controls mean where ``told``."""
    slots = _results(rows)
    marks = controls(metric, slots[0] if slots else "")  # the controls are those of the first
    notes = dict.fromkeys(filter(None, (explained(metric, slot) for slot in slots if told)))
    if rows["value"].notna().any():
        shown = [tag("figure", score_chart(canvas, metric_name(metric), rows, marks))]
    else:
        notes, shown = {"It is not defined for these sections, see the notes of the plan.": None}, []
    broad = len(slots) > 2 or (len(slots) == 2 and any(_protocols(metric, rows, counted)[1].values()))
    return tag(
        "article", tag("h3", heading(metric, slots)), *(tag("p", text, class_="note") for text in notes),
        *shown, score_table(metric, rows, counted), class_="score wide" if broad else "score",
    )  # fmt: skip


def _by_section(metric: str, rows: pd.DataFrame, counted: dict[str, str]) -> Html:
    """The table alone, of many labellings, whose means are compared by bars."""
    title = tag("h3", heading(metric, _results(rows)), tag("small", " by section"))
    return tag("article", title, score_table(metric, rows, counted), class_="score wide")


def score_table(metric: str, rows: pd.DataFrame, counted: dict[str, str]) -> Html:
    """Sections down, slots and controls across.

    Parameters
    ----------
    metric
        Of the rows.
    rows
        Of the long table.
    counted
        Slot → how many clusters it has, in words.
    """
    slots = list(dict.fromkeys(rows["slot"].astype(str)))
    slots.sort(key=is_control)
    cells = {(str(row.sample), str(row.slot)): row for row in rows.itertuples()}
    lines: list[list[str | Html]] = []
    for name in order(rows["sample"]):
        found = [cells.get((name, slot)) for slot in slots]
        sizes = {int(row.n) for row in found if row is not None and pd.notna(row.n)}  # type: ignore[arg-type]
        shown = [_cell(row) for row in found]
        lines.append([name, *shown, " / ".join(map(str, sorted(sizes))) or DASH])
    colours, (shared, own) = slot_colours(rows["slot"].astype(str)), _protocols(metric, rows, counted)
    marks = controls(metric, (_results(rows) or [""])[0])
    head = ["Section", *(_slot(slot, colours[slot], own.get(slot, ""), marks) for slot in slots), "n"]
    bounded = " with interval" if rows["low"].notna().any() else ""
    return table("; ".join([f"{title(metric)}{bounded}", *shared]), head, lines)


def _results(rows: pd.DataFrame) -> list[str]:
    """What was scored, without the controls."""
    return [slot for slot in dict.fromkeys(rows["slot"].astype(str)) if not is_control(slot)]


def _protocols(metric: str, rows: pd.DataFrame, counted: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """What is true of all results, for the caption, and of one alone, for the head of its column."""
    slots = _results(rows)
    said = {slot: _said(rows[rows["slot"] == slot]) for slot in slots}
    shared = [part for part in said[slots[0]] if all(part in said[slot] for slot in slots)] if slots else []
    unlike = len({higher_is_better(metric, slot) for slot in slots}) > 1
    own = {}
    for slot in slots:
        base, _, space = slot.partition(IN)
        mine = [part for part in said[slot] if part not in shared and part != f"in obsm:{space}"]
        told = [_numbered(part, counted.get(base, "")) for part in mine]
        if unlike and higher_is_better(metric, slot) is False:
            told.append("lower is better")
        own[slot] = ", ".join(told)
    return [", ".join(shared)] if shared else [], own


def _said(rows: pd.DataFrame) -> list[str]:
    """The parts of the protocols of a slot."""
    return list(dict.fromkeys(part for text in rows["protocol"].unique() for part in parts(text)))


def _numbered(part: str, how_many: str) -> str:
    return f"{part} ({how_many})" if says_k(part) and how_many else part


def _slot(slot: str, hexa: str, told: str, marks: Controls) -> Html:
    """The head of a column; the controls have marks of their own instead of a coloured dot."""
    name = slot.partition(":")[2]
    if is_control(slot):
        name, _, told = named(slot, marks)[1].partition(" (")
        return join([name, *([tag("small", f" ({told}")] if told else [])])
    return join([dot(hexa), name, *([tag("small", f" {told}")] if told else [])])


def _apart(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows; what was scored in several spaces gets a name for each, ``obs:batch in X_rna.pca``."""
    slot, place = rows["slot"].astype(str), rows["protocol"].astype("string").str.extract(SPACE)[0]
    several = place.groupby(slot).transform("nunique") > 1
    return rows.assign(slot=slot.where(~several, slot + IN + place.fillna("").astype(str)))


def _cell(row: object) -> Html:
    if row is None:
        return join([DASH])
    digits = digits_of(str(row.metric))  # type: ignore[attr-defined]
    bounds = interval(row.low, row.high, digits)  # type: ignore[attr-defined]
    text = number(row.value, digits)  # type: ignore[attr-defined]
    value = join([text]) if is_control(row.slot) else tag("b", text)  # type: ignore[attr-defined]
    return join([value, tag("small", f" {bounds}")]) if bounds else value
