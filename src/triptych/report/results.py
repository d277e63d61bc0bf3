"""Scores, sections, joint space and sizes of domains."""

from __future__ import annotations

import numpy as np
import pandas as pd

from triptych.pipeline.record import RunRecord
from triptych.plots.palette import colour
from triptych.plots.scores import order, slot_colours
from triptych.report.canvas import Canvas
from triptych.report.facts import Facts, Labels
from triptych.report.markup import Html, join, table, tag
from triptych.report.pictures import score_chart, spaces
from triptych.report.wording import DASH, heading, interval, is_control, metric_name, number


def score_section(canvas: Canvas, record: RunRecord) -> Html:
    """For each metric a chart and a table; empty when nothing was scored."""
    if not len(record.scores):
        return tag("p", "Nothing was scored: no labels are known, or the recipe has no step that scores.")
    blocks = []
    for metric in dict.fromkeys(record.scores["metric"].astype(str)):
        rows = record.scores[record.scores["metric"] == metric]
        chart = tag("figure", score_chart(canvas, metric_name(metric), rows))
        results = {slot for slot in rows["slot"].astype(str) if not is_control(slot)}
        width = "score wide" if len(results) > 2 else "score"
        blocks.append(
            tag("article", tag("h3", heading(metric)), chart, score_table(metric, rows), class_=width)
        )
    note = (
        "Points are values, lines their intervals. Grey marks are controls: a bar for the predicted labels "
        "shuffled, which know nothing, and a diamond for the known labels themselves (oracle)."
    )
    return join([tag("p", note, class_="note"), tag("div", *blocks, class_="scores")])


def score_table(metric: str, rows: pd.DataFrame) -> Html:
    """Sections down, slots and controls across."""
    slots = list(dict.fromkeys(rows["slot"].astype(str)))
    slots.sort(key=is_control)
    cells = {(str(row.sample), str(row.slot)): row for row in rows.itertuples()}
    lines: list[list[str | Html]] = []
    for name in order(rows["sample"]):
        found = [cells.get((name, slot)) for slot in slots]
        sizes = {int(row.n) for row in found if row is not None and pd.notna(row.n)}  # type: ignore[arg-type]
        shown = [_cell(row) for row in found]
        lines.append([name, *shown, " / ".join(map(str, sorted(sizes))) or DASH])
    colours = slot_colours(rows["slot"].astype(str))
    head = ["Section", *(_slot(slot, colours[slot]) for slot in slots), "n"]
    protocols = sorted({str(text) for text in rows.get("protocol", pd.Series(dtype=str)).dropna() if text})
    folds = f"; {', '.join(protocols)}" if protocols else ""
    return table(f"{heading(metric)} with interval{folds}", head, lines)


def _slot(slot: str, hexa: str) -> Html:
    """The name of a column; the controls have marks of their own instead of a coloured dot."""
    name = slot.partition(":")[2]
    return join([name]) if is_control(slot) else join([dot(hexa), name])


def _cell(row: object) -> Html:
    if row is None:
        return join([DASH])
    bounds = interval(row.low, row.high)  # type: ignore[attr-defined]
    value = tag("b", number(row.value)) if not is_control(row.slot) else join([number(row.value)])  # type: ignore[attr-defined]
    return join([value, tag("small", f" {bounds}")]) if bounds else value


def space_section(canvas: Canvas, facts: Facts, seed: int) -> Html:
    """The joint space, coloured in turn by domain, section and known label."""
    titles = {
        facts.samples.slot: "by section",
        **({facts.truth.slot: "by known label"} if facts.truth else {}),
    }
    labels = {
        one.slot: one for one in [*facts.guesses, facts.samples, *([facts.truth] if facts.truth else [])]
    }
    figures = [
        tag("figure", picture, tag("figcaption", titles.get(slot, f"by {slot}")), key(labels[slot]))
        for slot, picture in spaces(canvas, facts, seed).items()
    ]
    note = f"{facts.view} in its first two principal components, computed on at most 20 000 observations."
    return join([tag("p", note, class_="note"), tag("div", *figures, class_="spaces")])


def key(labels: Labels) -> Html:
    """Names beside colours; with hundreds of names only the first ones."""
    entries = list(labels.legend.items())
    items = [tag("li", swatch(code), name) for name, code in entries[:40]]
    more = [tag("li", f"and {len(entries) - 40} more")] if len(entries) > 40 else []
    missing = [tag("li", swatch(-1), "unlabelled")] if (labels.codes < 0).any() else []
    return tag("ul", *items, *more, *missing, class_="key")


def swatch(code: int) -> Html:
    """A dot in the colour of a category."""
    return dot(colour(code))


def dot(hexa: str) -> Html:
    """A dot in a colour."""
    return tag("i", style=f"background:{hexa}", class_="dot")


def size_section(facts: Facts) -> Html:
    """How many observations of each section fell into each domain of the last slot."""
    last = facts.guesses[-1]
    sections, domains = len(facts.samples.names), len(last.names)
    both = (facts.samples.codes >= 0) & (last.codes >= 0)
    flat = facts.samples.codes[both] * domains + last.codes[both]
    sizes = np.bincount(flat, minlength=sections * domains).reshape(sections, domains)
    lines = [
        [name, _bar(facts, last, sample, sizes[sample]), *map(str, sizes[sample]), str(sizes[sample].sum())]
        for sample, name in enumerate(facts.samples.names)
    ]
    head = ["Section", "Share", *last.names, "all"]
    return table(f"Observations in each domain of {last.slot}", head, lines)


def _bar(
    facts: Facts, labels: Labels, sample: int, sizes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Html:
    rows = facts.rows(sample)
    codes, shown = labels.codes[rows], labels.colours[rows]
    parts = []
    for domain in np.flatnonzero(sizes):
        share = 100 * sizes[domain] / sizes.sum()
        code = int(shown[codes == domain][0])
        parts.append(
            tag("i", style=f"width:{share:.2f}%;background:{colour(code)}", title=labels.names[domain])
        )
    return tag("div", *parts, class_="bar", aria_hidden="true")
