"""How often the intervals of predictions hold what is known."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.pipeline.record import RunRecord
from triptych.plots.coverage import coverage
from triptych.plots.scores import MEAN
from triptych.report.canvas import Canvas
from triptych.report.estimates import Estimate, predictions, target_of, targets
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, table, tag
from triptych.report.wording import DASH, figure

NOTE: Final = (
    "The share of known values, over all types, that lie inside their interval. An interval is measured on "
    "what is held out inside a fit; it keeps its promise on average over such donors or sections, not in "
    "each."
)


def covered_block(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """A chart and a table; empty where no prediction has an interval and a known target."""
    held = targets(facts, record)
    pairs = [(one, target_of(one, held)) for one in predictions(facts, record)]
    parts = [_measured(facts, one, known) for one, known in pairs if known is not None]
    measured = pd.concat([part for part in parts if len(part)]) if any(map(len, parts)) else None
    if measured is None:
        return Html("")

    def draw(ax: Axes, ink: str) -> None:
        coverage(ax, measured, ink=ink)

    rows = measured["sample"].nunique()
    picture = canvas.chart(
        "coverage", draw, (5.4, 1.2 + (0.34 if rows <= 16 else 0.2) * rows), "Coverage of each section"
    )
    return join([
        tag("h3", "How often the intervals hold"), tag("p", NOTE, class_="note"),
        tag("figure", picture, class_="broad narrow"), _table(measured),
    ])  # fmt: skip


def _measured(facts: Facts, one: Estimate, known: Estimate) -> pd.DataFrame:
    """Sample, slot, value, level, width and n: one row for each section, and one for their mean."""
    if one.low is None or one.high is None:
        return pd.DataFrame()
    types = [name for name in one.types if name in known.types]
    truth, low, high = known.of(types), one.of(types, one.low), one.of(types, one.high)
    judged = np.isfinite(truth).all(axis=1) & np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1)
    held, wide = ((low <= truth) & (truth <= high)).mean(axis=1), (high - low).mean(axis=1)
    level = float(one.step.params.get("level", np.nan)) if one.step else np.nan
    rows = []
    for sample, name in enumerate(facts.samples.names):
        here = judged & facts.rows(sample)
        if here.any():
            rows.append((name, one.slot, held[here].mean(), level, wide[here].mean(), int(here.sum())))
    found = pd.DataFrame(rows, columns=["sample", "slot", "value", "level", "width", "n"])
    if len(found) > 1:
        means = (MEAN, one.slot, found["value"].mean(), level, found["width"].mean(), found["n"].sum())
        found.loc[len(found)] = means
    return found


def _table(measured: pd.DataFrame) -> Html:
    """Sections down, slots across."""
    slots = list(dict.fromkeys(measured["slot"]))
    cells = {(row.sample, row.slot): row for row in measured.itertuples()}
    names = sorted(dict.fromkeys(measured["sample"]), key=lambda name: name != MEAN)
    lines = [[name, *(_cell(cells.get((name, slot))) for slot in slots)] for name in names]
    head = ["Section", *(join([slot.partition(":")[2], _promised(measured, slot)]) for slot in slots)]
    return table("Measured coverage, with the mean width of the intervals", head, lines)


def _promised(measured: pd.DataFrame, slot: str) -> Html:
    level = measured.loc[measured["slot"] == slot, "level"].iloc[0]
    return tag("small", f" {level:.0%} promised") if np.isfinite(level) else Html("")


def _cell(row: object) -> Html:
    if row is None:
        return join([DASH])
    width, n = f"{row.width:.3g}", figure(int(row.n))  # type: ignore[attr-defined]
    return join([tag("b", f"{row.value:.1%}"), tag("small", f" width {width}, n {n}")])  # type: ignore[attr-defined]
