"""The chapter of an applied model: how far new sections lie from those that it was fitted on."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.pipeline.newness import DISTANCE as TABLE
from triptych.pipeline.record import RunRecord
from triptych.plots.intervals import dots
from triptych.report.canvas import Canvas
from triptych.report.markup import Html, join, table, tag
from triptych.report.wording import DASH, number

MEASURES: Final = ("distance", "farthest_of_fit", "ratio", "share_outside")
BARELY: Final = 1.05  # a ratio that one decimal would round to 1
MOST: Final = 24  # sections that the page lists
NOTE: Final = (
    "The model was applied as it stands. The distance is that of a section's mean from the sections of the "
    "fit; it is compared with the farthest of the fit's own, each measured from the others. 1 % of the fit's "
    "observations lie outside by definition; a new tissue has many more, and gets the nearest label all the "
    "same. In layers:counts the distance is 1 − the correlation of mean expression."
)


def holds_distances(name: str, frame: pd.DataFrame) -> bool:
    """Whether a table of the record holds the distances of new sections, and not an analysis of that name."""
    return name == TABLE and {"sample", "slot", *MEASURES} <= set(frame)


def distances(record: RunRecord) -> pd.DataFrame | None:
    """How far each section lies from those of the fit; None when no model was applied."""
    frame = record.tables.get(TABLE)
    if frame is None or not holds_distances(TABLE, frame):
        return None
    return frame.astype({**dict.fromkeys(MEASURES, float), "sample": str, "slot": str})


def newcomer_section(canvas: Canvas, record: RunRecord) -> Html:
    """A figure of the ratios, and every distance with a verdict."""
    frame = distances(record)
    if frame is None or not len(frame):
        return tag("p", "No space was measured.", class_="note")
    samples = list(dict.fromkeys(frame["sample"]))
    known = relations(frame)
    lines = [
        _line(row, known[name])
        for name in samples[:MOST]
        for row in frame[frame["sample"] == name].itertuples()
    ]
    head: list[str | Html] = [
        "Section", "To the fit", "Space", "Distance", join(["Farthest", tag("small", " of the fit's own")]),
        "Verdict", join(["Outside", tag("small", " 1 % expected")]),
    ]  # fmt: skip
    notes = [tag("p", NOTE, class_="note")]
    if len(samples) > MOST:
        text = f"The first {MOST} of {len(samples)} sections are listed; tables/{TABLE}.csv holds all."
        notes.append(tag("p", text, class_="note"))
    caption = "Distance of each section from the fit, and the share of its observations outside"
    listed = tag("div", table(caption, head, lines), class_="score")
    return join([*notes, _chart(canvas, frame), listed])


def relations(frame: pd.DataFrame) -> dict[str, str]:
    """Section → what the fit knows of it; a dash where the table does not say."""
    said = frame["relation"] if "relation" in frame else [DASH] * len(frame)
    return dict(zip(frame["sample"], said, strict=True))


def verdict(farthest: float, ratio: float) -> str:
    """A ratio in words."""
    if np.isnan(farthest):
        return "one section in the fit: no range"
    if not np.isfinite(ratio):
        return "the fit's sections share one mean: no range"
    if ratio <= 1:
        return "within the fit's own range"
    if ratio < BARELY:
        return "just beyond the farthest of the fit's own"
    return f"{ratio:.1f} × the farthest of the fit's own"


def _line(row: Any, known: str) -> list[str | Html]:
    outside = DASH if np.isnan(row.share_outside) else f"{100 * row.share_outside:.1f} %"
    far = row.ratio > 1 and np.isfinite(row.ratio)
    words = verdict(row.farthest_of_fit, row.ratio)
    return [
        row.sample, known, row.slot, number(row.distance, 3), number(row.farthest_of_fit, 3),
        tag("span", words, class_="far") if far else words, outside,
    ]  # fmt: skip


def _chart(canvas: Canvas, frame: pd.DataFrame) -> Html:
    """A row for each space, a dot for each section; empty where the fit has no range."""
    drawn = frame[np.isfinite(frame["ratio"])]
    if not len(drawn):
        return Html("")
    rows = pd.DataFrame({
        "name": drawn["slot"], "sample": drawn["sample"], "group": drawn["sample"], "value": drawn["ratio"],
    })  # fmt: skip

    def draw(ax: Axes, ink: str) -> None:
        dots(ax, rows, label="distance / the farthest of the fit's own", bound=1.0, ink=ink)

    size = (6.4, 1.2 + 0.42 * rows["name"].nunique())
    alt = "Distance of each section from the fit, as a multiple of the farthest of the fit's own sections"
    sections = list(dict.fromkeys(rows["sample"]))
    caption = "A dot is a section; beyond the line it lies farther out than any section of the fit."
    if len(sections) == 1:
        caption = f"The dot is section {sections[0]}; {caption.partition('; ')[2]}"
    picture = canvas.chart("distance", draw, size, alt)
    return tag("figure", picture, tag("figcaption", caption), class_="forest")
