"""Which pairs of known types a view tells apart, by their centroids and by their spread."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.protocols import Matrix
from triptych.plots.halves import LEVEL, STEPS, halves
from triptych.report.canvas import Canvas, slug
from triptych.report.markup import Html, join, table, tag
from triptych.report.results import dot
from triptych.report.tables import View, cut, types_of
from triptych.report.wording import DASH, number

HARDEST: Final = 5  # pairs of a view that are named
CROWDED: Final = 22  # types, above which a square needs more room
NOTE: Final = (
    "Look for the black cells: above the diagonal a pair of types whose centroids do not differ "
    "(PERMANOVA), below it a pair that spreads alike (PERMDISP). A pair that is coloured on both sides "
    "may be told apart above by its spread alone; and with hundreds of cells, that are not independent of"
    " their neighbours, a small p says little of how far two types lie apart: R² does, the share of the "
    "variance that the types explain."
)


def pair_block(canvas: Canvas, permanova: list[View], permdisp: list[View]) -> Html:
    """A square for each view, side by side, and a line for each view.

    Parameters
    ----------
    canvas
        Draws.
    permanova, permdisp
        Their tables, one for each view; a view may have one of them.
    """
    (above, told), (below, more) = cut(permanova), cut(permdisp)
    tests = {one.name: [one.frame, None] for one in above}
    for one in below:
        tests.setdefault(one.name, [None, None])[1] = one.frame
    types, few = types_of([one.frame for one in (*above, *below)])
    figures = [_square(canvas, view, both, types) for view, both in tests.items()]
    wide = "halves roomy" if len(types) > CROWDED else "halves"
    steps = tag("ul", *(tag("li", dot(hexa), text) for text, hexa in STEPS), class_="key")
    lines = [
        [view, *_summary(both[0]), *_summary(both[1]), _hardest(both[0])] for view, both in tests.items()
    ]
    head: list[str | Html] = [
        "View", "Centroids differ", "Median R²", "Spread differs", "Median R²", "Hardest to tell apart",
    ]  # fmt: skip
    caption = f"Share of pairs with an adjusted p below {LEVEL} (Benjamini–Hochberg over the pairs of a view)"
    return join([
        tag("h3", "Pairs of known types told apart by each view"),
        *(tag("p", text, class_="note") for text in (NOTE, told or more, few) if text),
        steps, tag("div", *figures, class_=wide), table(caption, head, lines),
    ])  # fmt: skip


def square(frame: pd.DataFrame | None, types: list[str]) -> Matrix:
    """Adjusted p of each pair, symmetric, shape (k, k); NaN where it was not tested."""
    values = np.full((len(types), len(types)), np.nan)
    if frame is None:
        return values
    place = pd.Index(types)
    first, second = place.get_indexer(pd.Index(frame["group"])), place.get_indexer(pd.Index(frame["other"]))
    known = (first >= 0) & (second >= 0)
    p = frame["padj"].to_numpy(float)[known]
    values[first[known], second[known]] = p
    values[second[known], first[known]] = p
    return values


def _square(canvas: Canvas, view: str, both: list[pd.DataFrame | None], types: list[str]) -> Html:
    upper, lower = square(both[0], types), square(both[1], types)

    def draw(ax: Axes, ink: str) -> None:
        halves(ax, upper, lower, names=types, titles=("PERMANOVA", "PERMDISP"), ink=ink)

    side = 1.6 + 0.135 * max(len(types), 12)
    alt = f"Adjusted p of every pair of {len(types)} types in {view}: PERMANOVA above, PERMDISP below"
    picture = canvas.chart(f"pairs-{slug(view)}", draw, (side, side + 0.1), alt)
    return tag("figure", tag("figcaption", view), picture)


def _summary(frame: pd.DataFrame | None) -> list[str]:
    """Share of significant pairs, and the median R²."""
    if frame is None:
        return [DASH, DASH]
    p = frame["padj"].dropna()
    told = int((p < LEVEL).sum())
    share = f"{told / len(p):.0%} ({told} of {len(p)})" if len(p) else DASH
    return [share, number(float(frame["r2"].median()), 3)]


def _hardest(frame: pd.DataFrame | None) -> Html:
    """The pairs with the largest p; of equal ones, those with the smallest R²."""
    if frame is None:
        return join([DASH])
    rows = frame.sort_values(["padj", "r2"], ascending=[False, True], kind="stable").head(HARDEST)
    lines = (
        tag("span", f"{row['group']} – {row['other']}", tag("small", _told(row["padj"], row["r2"])))
        for _, row in rows.iterrows()
    )
    return tag("div", *lines, class_="stack")


def _told(p: float, r2: float) -> str:
    return f"p {number(p, 3)}, R² {number(r2, 3)}"
