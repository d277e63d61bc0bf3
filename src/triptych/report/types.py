"""How many observations there are of each known label."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from triptych.plots.histogram import histogram
from triptych.report.canvas import Canvas
from triptych.report.facts import Facts, Labels
from triptych.report.markup import Html, join, tag
from triptych.report.wording import figure

MOST: Final = 60  # labels of a picture
NOTE: Final = (
    "A rare label weighs as much as a frequent one in means over labels (balanced accuracy, Jaccard "
    "index), and its own numbers rest on few observations."
)


def type_section(canvas: Canvas, facts: Facts, truth: Labels) -> Html:
    """Bars by falling number; the unlabelled last."""
    sizes = np.bincount(truth.codes[truth.codes >= 0], minlength=len(truth.names))
    order = [int(code) for code in np.argsort(-sizes, kind="stable")]
    shown = order[:MOST]
    names, codes = [truth.names[code] for code in shown], list(shown)
    bars = [int(sizes[code]) for code in shown]
    missing = int((truth.codes < 0).sum())
    if missing:
        names, codes, bars = [*names, "unlabelled"], [*codes, -1], [*bars, missing]

    def draw(ax: Axes, ink: str) -> None:
        histogram(ax, np.array(bars), names=names, codes=codes, ink=ink)

    alt = f"Observations of each of {len(order)} known labels, most of {names[0]}"
    picture = canvas.chart("known-labels", draw, (6.4, 0.4 + 0.2 * len(names)), alt)
    told = (
        f"{figure(int(sizes.sum()))} of {figure(facts.table.n_obs)} observations have a known label. {NOTE}"
    )
    more = [f"The {MOST} most frequent of {len(order)} labels are drawn."] if len(order) > MOST else []
    notes = (tag("p", text, class_="note") for text in (told, *more))
    return join([*notes, tag("figure", picture)])
