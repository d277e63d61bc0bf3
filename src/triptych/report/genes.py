"""Which genes a view tells something about."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.plots.genes import NAMED, explained
from triptych.plots.halves import LEVEL
from triptych.report.canvas import Canvas, slug
from triptych.report.markup import Html, join, table, tag
from triptych.report.tables import View, cut
from triptych.report.wording import DASH, number, small

LISTED: Final = 15  # genes of the table
NOTED: Final = 0.2  # an R² that is worth counting
NOTE: Final = (
    "Look at how quickly the points fall to zero: R² is the share of a gene's variance, on observations "
    "held out, that ridge regression explains by the columns of the view. Hollow points hold whole blocks"
    f" of tissue out; pale genes have no column associated with them (adjusted p ≥ {LEVEL}). The first "
    f"{NAMED} genes are named. A linear fit finds no other relation, and a gene that is rarely seen can "
    "not be explained by any."
)


def gene_block(canvas: Canvas, found: list[View]) -> Html:
    """For each view a chart of all genes and a table of the first.

    Parameters
    ----------
    canvas
        Draws.
    found
        Tables of ridge regressions, one for each view.
    """
    found, told = cut(found)
    articles = (_article(canvas, one) for one in found)
    return join([
        tag("h3", "Genes explained by each view"),
        *(tag("p", text, class_="note") for text in (NOTE, told) if text),
        tag("div", *articles, class_="scores"),
    ])  # fmt: skip


def _article(canvas: Canvas, one: View) -> Html:
    """Chart, sentence and table of a view."""
    rows = one.frame.dropna(subset="r2").sort_values("r2", ascending=False, kind="stable")
    title = tag("h4", one.name)
    if not len(rows):
        return tag("article", title, tag("p", "No gene has an R².", class_="note"), class_="score")
    note = one.frame.attrs.get("note")
    if not (isinstance(note, str) and note):  # of a table that was read back
        note = f"{int((rows['r2'] > NOTED).sum())} of {len(rows)} genes have an R² above {NOTED}."
    figure = tag("figure", _chart(canvas, one.name, rows))
    return tag("article", title, figure, tag("p", note, class_="note"), _first(rows), class_="score")


def _chart(canvas: Canvas, view: str, rows: pd.DataFrame) -> Html:
    r2, deviation, blocks = (rows[name].to_numpy(float) for name in ("r2", "deviation", "r2_blocks"))
    names, significant = rows["gene"].tolist(), (rows["padj"] < LEVEL).to_numpy()

    def draw(ax: Axes, ink: str) -> None:
        explained(ax, r2, deviation=deviation, blocks=blocks, names=names, significant=significant, ink=ink)

    alt = f"R² of {len(rows)} genes explained by {view}, falling; first {', '.join(names[:3])}"
    return canvas.chart(f"genes-{slug(view)}", draw, (5.6, 3.8), alt)


def _first(rows: pd.DataFrame) -> Html:
    lines = [
        [
            row["gene"], f"{number(row['r2'])} ± {number(row['deviation'])}", number(row["r2_blocks"]),
            DASH if np.isnan(row["latent"]) else f"{row['latent']:.0f}", small(row["padj"]),
        ]
        for _, row in rows.head(LISTED).iterrows()
    ]  # fmt: skip
    head = ["Gene", "R²", "Whole blocks", "Column", "Adjusted p"]
    shown = f"The first {len(lines)} of {len(rows)} genes, and the column with the lowest p"
    return table(shown, head, lines)
