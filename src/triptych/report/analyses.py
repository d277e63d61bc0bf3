"""Tables of analyses: the first rows of each, and a picture of markers, of pathways and of recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.sparse import csr_matrix

from triptych.analyses.groups import NOTE
from triptych.core.protocols import Matrix
from triptych.core.slots import COUNTS, Slot
from triptych.maths.counts import logged, normalised
from triptych.pipeline.record import RunRecord
from triptych.plots.dots import dots
from triptych.plots.heat import heat
from triptych.report import recall
from triptych.report.canvas import Canvas, slug
from triptych.report.facts import Facts, categories
from triptych.report.markup import Html, join, table, tag
from triptych.report.tables import others, reads_of
from triptych.report.wording import DASH, number, small

TOP_DRAWN, TOP_LISTED, ROWS = 5, 3, 12  # genes of a group in the picture, in the table; rows of other tables
WIDEST: Final = 60  # genes of a picture
SECTIONS: Final = 6  # sections analysed one by one that the page shows
MARKERS: Final = {
    "group",
    "gene",
    "rank",
    "score",
    "log2_fold_change",
    "auroc",
    "share_in",
    "share_out",
    "padj",
}
PATHWAYS: Final = {"group", "pathway", "activity", "difference", "statistic", "padj", "targets_found"}


@dataclass(frozen=True, eq=False)
class Part:
    """One block of the chapter.

    Parameters
    ----------
    name
        Of the table, with the section where sections were analysed one by one.
    stem
        Of the file of its picture.
    frame
        The rows of the table that it shows.
    slot
        Where the labels lie; empty where it is not known.
    sample
        The section; empty for all.
    """

    name: str
    stem: str
    frame: pd.DataFrame
    slot: str
    sample: str = ""


def analysis_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """One block for each analysis of the record that is not told with others of its kind."""
    reads, blocks, tables = reads_of(record), [], others(record)
    for name, frame in tables.items():
        parts = _parts(name, frame, reads[name].get("labels", ""))
        blocks += [_block(canvas, facts, part) for part in parts[:SECTIONS]]
        if len(parts) > SECTIONS:
            text = f"The first {SECTIONS} of {len(parts)} sections are shown; tables/{name}.csv holds all."
            blocks.append(tag("p", text, class_="note"))
    tested = any("padj" in frame for frame in tables.values())
    return join([*([tag("p", NOTE, class_="note")] if tested else []), *blocks])


def analysis_title(record: RunRecord) -> str:
    """Of the chapter, by what is in it."""
    found = [set(frame) >= recall.COLUMNS for frame in others(record).values()]
    if all(found):
        return "Known types, one by one"
    return "Markers, pathways and known types" if any(found) else "Markers and pathways"


def _parts(name: str, frame: pd.DataFrame, slot: str) -> list[Part]:
    """The whole table, or its rows on each section where they were analysed one by one."""
    if "sample" not in frame:
        return [Part(name, slug(name), frame, slot)]
    return [
        Part(
            f"{name}, section {sample}",
            f"{slug(name)}-{index:02d}-{slug(str(sample))}",
            rows,
            slot,
            str(sample),
        )
        for index, (sample, rows) in enumerate(frame.groupby("sample", sort=False, observed=True), start=1)
    ]


def _block(canvas: Canvas, facts: Facts, part: Part) -> Html:
    source = [tag("small", f" of {part.slot}")] if part.slot else []
    title = tag("h3", f"{part.name[:1].upper()}{part.name[1:]}", *source)
    if not len(part.frame):
        return join([title, tag("p", "The table has no rows.", class_="note")])
    if set(part.frame) >= MARKERS:
        picture, listed = _marker_chart(canvas, facts, part), _markers(part.frame)
    elif set(part.frame) >= PATHWAYS:
        picture, listed = _pathway_chart(canvas, part), _pathways(part.frame)
    elif set(part.frame) >= recall.COLUMNS:
        picture = recall.recall_chart(canvas, facts, stem=part.stem, slot=part.slot, sample=part.sample)
        listed = join([tag("p", recall.NOTE, class_="note"), recall.recall_table(part.frame)])
    else:
        picture, listed = Html(""), _anything(part.frame)
    return join([title, tag("figure", picture) if picture else picture, listed])


def _markers(frame: pd.DataFrame) -> Html:
    """The first genes of each group."""
    first = frame[frame["rank"] <= TOP_LISTED]
    lines = [
        [
            str(row["group"]), str(row["gene"]), number(row["log2_fold_change"]), number(row["auroc"]),
            f"{row['share_in']:.0%} / {row['share_out']:.0%}", small(row["padj"]), _agreeing(row),
        ]
        for _, row in first.iterrows()
    ]  # fmt: skip
    head = [
        "Group",
        "Gene",
        "log₂ fold change",
        "AUROC",
        "Seen in group / rest",
        "Adjusted p",
        "Sections agree",
    ]
    return table(f"The first {TOP_LISTED} genes of each group against the rest", head, lines)


def _agreeing(row: pd.Series[Any]) -> str:
    return f"{row['samples_agree']} of {row['samples']}" if "samples_agree" in row else DASH


def _pathways(frame: pd.DataFrame) -> Html:
    """The pathways of each group that differ most from the rest."""
    strongest = frame["statistic"].abs().sort_values(ascending=False, kind="stable").index
    kept = frame.loc[strongest].groupby("group", sort=False).head(TOP_LISTED)
    place = {group: rank for rank, group in enumerate(dict.fromkeys(frame["group"]))}
    lines = [
        [
            str(row["group"]), str(row["pathway"]), number(row["activity"]), number(row["difference"]),
            number(row["statistic"], 1), small(row["padj"]), str(row["targets_found"]),
        ]
        for _, row in kept.sort_values("group", key=lambda names: names.map(place), kind="stable").iterrows()
    ]  # fmt: skip
    head = ["Group", "Pathway", "Activity", "Difference", "Welch's t", "Adjusted p", "Targets found"]
    return table(f"The {TOP_LISTED} pathways of each group that differ most from the rest", head, lines)


def _anything(frame: pd.DataFrame) -> Html:
    """The first rows of a table of another kind."""
    lines = [[_text(value) for value in row] for row in frame.head(ROWS).itertuples(index=False)]
    return table(f"The first {min(ROWS, len(frame))} of {len(frame)} rows", map(str, frame.columns), lines)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _marker_chart(canvas: Canvas, facts: Facts, part: Part) -> Html:
    """Dots of the first genes that are higher in their group; empty where the table lacks what it takes."""
    groups = list(dict.fromkeys(part.frame["group"].astype(str)))
    best = part.frame[(part.frame["rank"] <= TOP_DRAWN) & (part.frame["score"] > 0)]
    genes = list(dict.fromkeys(best["gene"].astype(str)))[:WIDEST]
    found = _levels(facts, part, groups, genes)
    if found is None:
        return Html("")
    share, level = found

    def draw(ax: Axes, ink: str) -> None:
        dots(ax, share, level, groups=groups, genes=genes, ink=ink)

    alt = f"Dot plot of the first {TOP_DRAWN} genes of each group: {', '.join(groups[:12])}"
    return _chart(canvas, f"markers-{part.stem}", draw, (len(genes), len(groups)), alt)


def _pathway_chart(canvas: Canvas, part: Part) -> Html:
    """Differences of groups from the rest."""
    wide = part.frame.pivot_table(index="group", columns="pathway", values="difference", sort=False)
    rows, columns = list(map(str, wide.index)), list(map(str, wide.columns))[:WIDEST]
    values = wide.to_numpy(float)[:, :WIDEST]

    def draw(ax: Axes, ink: str) -> None:
        heat(ax, values, rows=rows, columns=columns, label="activity, group − rest (t)", ink=ink)

    alt = f"Heat map of the activity of {len(columns)} pathways in {len(rows)} groups"
    return _chart(canvas, f"pathways-{part.stem}", draw, (len(columns), len(rows)), alt)


def _chart(
    canvas: Canvas, name: str, draw: Callable[[Axes, str], None], cells: tuple[int, int], alt: str
) -> Html:
    size = (2.6 + 0.2 * cells[0], 1.9 + 0.25 * cells[1])
    return canvas.chart(name, draw, size, alt)


def _levels(facts: Facts, part: Part, groups: list[str], genes: list[str]) -> tuple[Matrix, Matrix] | None:
    """Share of observations and scaled mean log-normalised expression, two arrays of shape (k, g).

    None where the table of the run lacks the counts, the labels, or one of the names.
    """
    held, key = facts.table, Slot.parse(COUNTS).key
    if not genes or key not in held.layers:
        return None
    if not part.slot or Slot.parse(part.slot).key not in held.obs:
        return None
    labels = categories(held, part.slot)
    columns = held.var_names.get_indexer(pd.Index(genes)) if held.var_names.is_unique else np.array([-1])
    if (columns < 0).any() or not set(groups) <= set(labels.names):
        return None
    of = np.array([groups.index(name) if name in groups else -1 for name in labels.names])
    codes = np.where(labels.codes >= 0, of[labels.codes], -1)
    here = np.flatnonzero(codes >= 0)
    if part.sample:
        here = here[facts.rows(facts.samples.names.index(part.sample))[here]]
    x = logged(normalised(csr_matrix(held.layers[key]))[here][:, columns])
    member = csr_matrix((np.ones(len(here)), (codes[here], np.arange(len(here)))), (len(groups), len(here)))
    size = np.maximum(np.asarray(member.sum(axis=1)), 1)
    mean = (member @ x).toarray() / size
    low, high = mean.min(axis=0), mean.max(axis=0)
    return (member @ (x > 0)).toarray() / size, (mean - low) / np.where(high > low, high - low, 1.0)
