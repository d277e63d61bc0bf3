"""Many labellings of one study side by side: a bar for each score, a line for each labelling."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.slots import TRUTH
from triptych.pipeline.record import RunRecord
from triptych.plots.lanes import lanes
from triptych.plots.scores import MEAN
from triptych.report.canvas import Canvas
from triptych.report.clusters import numbers, parts, says_k, source
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, table, tag
from triptych.report.multiplexed import gains
from triptych.report.wording import ALL, CLUSTERS, DASH, heading, is_control, number

MANY: Final = 4  # labellings, above which they are compared by bars
FLOOR: Final = "control:shuffled"
FIRST: Final = ("silhouette", "homogeneity", "completeness", "ami", "nmi", "ari", "jaccard")
ACROSS: Final = 6  # scores side by side in a picture
NOTE: Final = (
    "Compare the labellings down a column; every column has a scale of its own that begins at zero or "
    "below. Dotted lines are the labels shuffled, which know nothing. More clusters raise homogeneity and"
    " lower completeness by themselves, so look at both and at the number of clusters."
)
SPACES: Final = (
    "A silhouette says how well clusters are apart in the space it was measured in; between spaces it is "
    "no ranking. Where a labelling was measured in several spaces its bars stand in the order of the table."
)
NAMES: Final = (
    "Homogeneity is 1 where every cluster holds one known type, completeness is 1 where every type lies "
    "in one cluster. In the paper of the vste recipes the two changed places (the arguments of the "
    "function were swapped): what it reports as homogeneity is completeness."
)


def crowded(record: RunRecord) -> list[str]:
    """Metrics of more than `MANY` labellings, in their order."""
    rows = _results(record)
    rows = rows[~rows["metric"].str.contains(":")]  # agreement with another column has a chart of its own
    counts = rows.groupby("metric", sort=False)["slot"].nunique()
    found = [str(name) for name in counts[counts > MANY].index]
    return sorted(found, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def labelling_block(canvas: Canvas, facts: Facts, record: RunRecord, metrics: list[str]) -> Html:
    """Bars, what multiplexing did, and a line for each labelling.

    Parameters
    ----------
    canvas
        Draws.
    facts, record
        Of the run.
    metrics
        What `crowded` found.
    """
    values = _values(record, metrics)
    floors = _floors(record, values)
    figures = [
        _bars(canvas, values, metrics[start : start + ACROSS], floors, start // ACROSS)
        for start in range(0, len(metrics), ACROSS)
    ]
    notes = [NOTE, *([SPACES] if "silhouette" in metrics else [])]
    named = [NAMES] if {"homogeneity", "completeness"} & set(metrics) else []
    told = [tag("li", text) for text in gains(values, _counts(facts, record))]
    said = tag("ul", *told) if told else Html("")
    return tag(
        "article", tag("h3", "Labellings compared"), *(tag("p", text, class_="note") for text in notes),
        *figures, said, *(tag("p", text, class_="note") for text in named),
        _listed(facts, record, values, metrics), class_="score wide",
    )  # fmt: skip


def chosen(record: RunRecord) -> dict[str, str]:
    """Slot → the settings that its clusterer chose from the data, in words."""
    found = {}
    for step in record.steps:
        units = [dict(unit) for unit in step.chosen.values() if unit]
        names = dict.fromkeys(
            name for unit in units for name in unit if name not in {"silhouette", "clusters"}
        )
        told = [_setting(name, [unit[name] for unit in units if name in unit]) for name in names]
        if told and step.to:
            found[step.to] = ", ".join(told)
    return found


def _setting(name: str, values: list[Any]) -> str:
    """``resolution 0.8``, or the least and the most of several sections; ``weight.rna`` is of rna."""
    kind, _, role = name.partition(".")
    least, most = f"{min(values):.3g}", f"{max(values):.3g}"
    between = least if least == most else f"{least}{DASH}{most}"
    return f"{kind} of {role} {between}" if role else f"{kind} {between}"


def _results(record: RunRecord) -> pd.DataFrame:
    """Scores of labels, without controls, counts, and the known labels themselves."""
    rows = record.scores.astype({"metric": str, "slot": str, "sample": str})
    control = rows["slot"].map(is_control).astype(bool)
    return rows[
        ~control
        & (rows["metric"] != CLUSTERS)
        & rows["slot"].str.startswith("obs:")
        & (rows["slot"] != TRUTH)
    ]


def _values(record: RunRecord, metrics: list[str]) -> pd.DataFrame:
    """One row for each score of a labelling, in each space: columns metric, slot, space, value, low, high."""
    rows = _results(record)
    rows = rows[rows["metric"].isin(metrics)].copy()
    rows["space"] = (
        rows["protocol"].astype("string").str.extract(r", in obsm:(\S+)$")[0].fillna("").astype(str)
    )
    kept = [
        {"metric": metric, "slot": slot, "space": space, **_whole(some)}
        for (slot, metric, space), some in rows.groupby(["slot", "metric", "space"], sort=False)
    ]
    return pd.DataFrame(kept)


def _whole(rows: pd.DataFrame) -> dict[str, float]:
    """Of the whole study: the mean over sections, else the score of all together, else of the sections."""
    for name in (MEAN, ALL):
        if (rows["sample"] == name).any():
            rows = rows[rows["sample"] == name]
            break
    if len(rows) == 1:
        return {name: float(rows[name].iloc[0]) for name in ("value", "low", "high")}
    return {"value": float(rows["value"].mean()), "low": np.nan, "high": np.nan}


def _floors(record: RunRecord, values: pd.DataFrame) -> dict[str, float]:
    """Metric → the mean score of shuffled labels; none for what was scored in several spaces."""
    rows = record.scores[record.scores["slot"].astype(str) == FLOOR]
    means = rows.groupby(rows["metric"].astype(str))["value"].mean()
    spaces = values.groupby("metric", sort=False)["space"].nunique()
    return {heading(str(name)): float(means[name]) for name in spaces[spaces == 1].index if name in means}


def _bars(
    canvas: Canvas, values: pd.DataFrame, metrics: list[str], floors: dict[str, float], part: int
) -> Html:
    shown = values[values["metric"].isin(metrics)]
    order = shown["metric"].map({name: place for place, name in enumerate(metrics)})
    rows = shown.assign(
        row=shown["slot"].str.removeprefix("obs:"), lane=shown["metric"].map(heading), order=order
    ).sort_values("order", kind="stable")
    names = dict.fromkeys(values["slot"].str.removeprefix("obs:"))  # every picture has the same rows
    first = pd.DataFrame({"row": list(names), "lane": heading(metrics[0]), "value": np.nan})
    rows = pd.concat([first.assign(low=np.nan, high=np.nan), rows[["row", "lane", "value", "low", "high"]]])

    def draw(ax: Axes, ink: str) -> None:
        lanes(ax, rows, floors=floors, ink=ink)

    alt = f"Bars of {', '.join(map(heading, metrics))} of {len(names)} labellings"
    size = (2.6 + 1.45 * len(metrics), 0.7 + 0.3 * len(names))
    stem = "labellings" if part == 0 else f"labellings-{part + 1}"
    return tag("figure", canvas.chart(stem, draw, size, alt), class_="broad")


def _counts(facts: Facts, record: RunRecord) -> dict[str, str]:
    """Slot → its number of clusters; counted in the table where nothing counted it."""
    told = numbers(facts, record)
    held = facts.table.obs
    found = {slot: str(held[key].nunique()) for key in map(str, held) if (slot := f"obs:{key}") not in told}
    return {**found, **told}


def _listed(facts: Facts, record: RunRecord, values: pd.DataFrame, metrics: list[str]) -> Html:
    """A line for each labelling: clusters, what was chosen, scores."""
    counts, settings, protocols = _counts(facts, record), chosen(record), _protocols(record)
    lines: list[list[str | Html]] = []
    for slot in dict.fromkeys(values["slot"]):
        mine = values[values["slot"] == slot]
        cells = [_cell(mine[mine["metric"] == metric]) for metric in metrics]
        first = settings.get(slot) or f"number from: {source(protocols[slot])}"
        lines.append([slot.removeprefix("obs:"), counts.get(slot, DASH), first, *cells])
    head = ["Labels", "Clusters", "Settings chosen", *map(heading, metrics)]
    shared = [part for part in parts(next(iter(protocols.values()))) if not says_k(part)]
    shared = [part for part in shared if all(part in parts(other) for other in protocols.values())]
    caption = "; ".join(["Scores of each labelling, means over sections where there are several", *shared])
    return table(caption, head, lines)


def _protocols(record: RunRecord) -> dict[str, str]:
    """Slot → the protocol of its first score."""
    rows = _results(record).drop_duplicates("slot")
    return {str(slot): str(words) for slot, words in zip(rows["slot"], rows["protocol"], strict=True)}


def _cell(rows: pd.DataFrame) -> Html:
    """The scores of one metric: one, or one for each space."""
    if not len(rows):
        return join([DASH])
    several = len(rows) > 1
    shown = (
        tag("span", tag("b", number(row.value)), *([tag("small", f"in {row.space}")] if several else []))  # type: ignore[arg-type]
        for row in rows.itertuples()
    )
    return tag("div", *shown, class_="stack")
