"""Which cell types lie together, in the target and as predicted."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from triptych.core.protocols import Matrix
from triptych.plots.cluster_map import cluster_maps, hierarchy
from triptych.report.canvas import Canvas, slug
from triptych.report.markup import Html, join, table, tag
from triptych.report.tables import View
from triptych.report.wording import DASH, count, number

TRUTH: Final = "truth"
CONTROL: Final = "control-"  # begins the names of roles that are drawn last
LEVEL: Final = 0.05
WIDEST: Final = 40  # types of a picture
ABREAST: Final = 4  # roles of a picture
SECTIONS: Final = 12  # sections that are drawn
NOTE: Final = (
    "Each cell is the bivariate Moran's R of two types in one section: above zero where they lie together, "
    "below where they keep apart. All maps of a section stand in the order of one tree, that of the first. "
    f"A dot marks pairs with an adjusted p below {LEVEL}; of the diagonal, the colour may end before the R."
)
ALIKE: Final = (
    "How alike the maps of guess and target are: cosine of each type's row with that of the target, mean "
    "over the types; correlation over all pairs of different types."
)


def colocalised_block(canvas: Canvas, found: list[View], similar: list[View]) -> Html:
    """A figure for each section, then what the similarities say; empty where there are no tables."""
    parts = [part for one in found for part in _maps(canvas, one)]
    words = [part for one in similar for part in _similar(one)]
    if not parts and not words:
        return Html("")
    return join([tag("h3", "Which cell types lie together"), *words, *parts])


def _maps(canvas: Canvas, one: View) -> list[Html]:
    sections = list(dict.fromkeys(one.frame["sample"]))
    blocks = [tag("p", text, class_="note") for text in (NOTE, one.frame.attrs.get("note", "")) if text]
    for index, name in enumerate(sections[:SECTIONS], start=1):
        rows = one.frame[one.frame["sample"] == name]
        blocks.append(_figure(canvas, f"{slug(one.table)}-{index:02d}-{slug(name)}", name, rows))
    if len(sections) > SECTIONS:
        text = (
            f"The first {SECTIONS} of {len(sections)} sections are drawn; tables/{one.table}.csv holds all."
        )
        blocks.append(tag("p", text, class_="note"))
    return blocks


def _figure(canvas: Canvas, stem: str, name: str, rows: pd.DataFrame) -> Html:
    """All roles of one section side by side."""
    varied = rows[rows["r"].notna().groupby(rows["of"]).transform("any")]  # a constant lies with nothing
    known = varied if len(varied) else rows
    roles = sorted(dict.fromkeys(known["of"]), key=lambda role: (role != TRUTH, role.startswith(CONTROL)))
    types, told = _types(rows[rows["of"] == roles[0]])
    shown = roles[:ABREAST]
    maps = {role: square(rows[rows["of"] == role], types, "r") for role in shown}
    marks = {role: _marked(rows[rows["of"] == role], types) for role in shown}
    tree = hierarchy(maps[shown[0]])

    def draw(ax: Axes, ink: str) -> None:
        cluster_maps(ax, maps, marks, names=types, tree=tree, label="bivariate Moran's R", ink=ink)

    side = 1.0 + min(0.24 * len(types), 5.5)
    size = (1.6 + side * len(maps), 1.5 + 1.14 * side)
    alt = f"Colocalisation of {len(types)} types in section {name}: {', '.join(maps)}"
    more = [f"{count(len(roles) - ABREAST, 'more role')} in the table"] if len(roles) > ABREAST else []
    caption = tag("figcaption", name, tag("small", f" {'; '.join([*told, *more])}"))
    return tag("figure", caption, canvas.chart(stem, draw, size, alt), class_="broad")


def _types(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The types of a map, and a word on those that are not drawn: those with the strongest pairs stay."""
    names = list(dict.fromkeys([*rows["type"], *rows["other"]]))
    if len(names) <= WIDEST:
        return names, []
    apart = rows[rows["type"] != rows["other"]]
    pairs = pd.concat([apart[["type", "r"]], apart[["other", "r"]].rename(columns={"other": "type"})])
    strongest = pairs["r"].abs().groupby(pairs["type"]).max().sort_values(ascending=False, kind="stable")
    kept = set(strongest.index[:WIDEST])
    return [name for name in names if name in kept], [
        f"the {WIDEST} of {len(names)} types with the highest R"
    ]


def square(rows: pd.DataFrame, types: list[str], column: str) -> Matrix:
    """A column of pairs as a symmetric table, shape (t, t); NaN of a pair that is not there."""
    place = {name: code for code, name in enumerate(types)}
    first, second = (rows[key].map(place) for key in ("type", "other"))
    known = (first.notna() & second.notna()).to_numpy()
    one, other = (codes.to_numpy(float)[known].astype(np.int64) for codes in (first, second))
    values = rows[column].to_numpy(np.float64)[known]
    out = np.full((len(types), len(types)), np.nan)
    out[one, other] = values
    out[other, one] = values
    return out


def _marked(rows: pd.DataFrame, types: list[str]) -> NDArray[np.bool_]:
    """Pairs of different types whose adjusted p is low."""
    low: NDArray[Any] = square(rows, types, "padj") < LEVEL
    return low & ~np.eye(len(types), dtype=bool)


def _similar(one: View) -> list[Html]:
    """Means over the sections in words, and all sections as a table."""
    lines = []
    for guess, rows in one.frame.groupby("guess", sort=False):
        cosine, correlation = (_spread(rows[column]) for column in ("cosine", "correlation"))
        over = count(int(rows["sample"].nunique()), "section")
        lines.append(f"{guess}: cosine {cosine}, correlation {correlation} (mean over {over}).")
    cells = [
        [str(row.sample), str(row.guess), number(row.cosine), number(row.correlation), f"{row.types:.0f}"]  # type: ignore[arg-type]
        for row in one.frame.itertuples()
    ]
    notes = [ALIKE, str(one.frame.attrs.get("note", ""))]
    return [
        *(tag("p", text, class_="note") for text in notes if text),
        tag("ul", *(tag("li", line) for line in lines)),
        table(
            "Similarity of colocalisation, by section",
            ["Section", "Guess", "Cosine", "Correlation", "Types"],
            cells,
        ),
    ]


def _spread(values: pd.Series[float]) -> str:
    """``0.82 (0.75 to 0.90)``: the mean, with the least and the most of several."""
    known = values.dropna()
    if known.empty:
        return DASH
    if len(known) == 1:
        return number(float(known.iloc[0]))
    return f"{number(known.mean())} ({number(known.min())} to {number(known.max())})"
