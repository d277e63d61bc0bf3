"""Numbers and names in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from triptych.pipeline.record import RunRecord
from triptych.plots.scores import CONTROL, MEAN
from triptych.report.directions import NUISANCES, higher_is_better, organs, plain
from triptych.report.facts import Facts

METRICS = {
    "colocalisation-cosine": "cosine of colocalisation",
    "colocalisation-correlation": "correlation of colocalisation",
    "ari": "ARI", "nmi": "NMI", "ami": "AMI", "asw": "ASW", "chaos": "CHAOS", "pas": "PAS", "lisi": "LISI",
    "ilisi": "iLISI", "clisi": "cLISI", "kbet": "kBET", "majority-accuracy": "majority accuracy",
    "hungarian-accuracy": "Hungarian accuracy", "label-entropy": "label entropy",
    "macro-recall": "macro recall", "types-found": "types found", "jaccard": "Jaccard index",
    "pearson": "Pearson correlation", "pearson-observations": "Pearson correlation over the types",
    "l1": "L1 error", "rmse": "RMSE", "jensen-shannon": "Jensen–Shannon distance",
    "coverage": "coverage of the intervals", "interval-width": "width of the intervals",
    "dice": "Dice", "aji": "AJI", "pq": "panoptic quality", "pq-pooled": "pooled panoptic quality",
    "mpq": "panoptic quality, mean over types", "mpq-pooled": "pooled panoptic quality, mean over types",
    "detection-precision": "precision of detection", "detection-recall": "recall of detection",
    "detection-f1": "F1 of detection", "type-f1": "F1 of types", "count-error": "error of number",
}  # fmt: skip
CLUSTERS = "clusters"  # rows that count, beside those that score
ALL = "(all)"  # the sections together
DASH = "–"


def metric_name(name: str) -> str:
    """A metric as the field writes it, with the column that it was compared with where that is unusual."""
    name, elsewhere, _ = name.partition("@")
    if elsewhere:
        return f"{metric_name(name)}, other data"
    base, _, other = name.partition(":")
    base = METRICS.get(base.lower(), base)
    if not other:
        return base
    if where := organs(name):
        return f"{base} {where}"
    return f"{base} with {'the ' if other in NUISANCES else 'obs:'}{other}"


def title(name: str) -> str:
    """The same at the beginning of a line; iLISI keeps its small letter."""
    shown = metric_name(name)
    return shown if shown[1:2].isupper() else shown[:1].upper() + shown[1:]


def heading(name: str, slots: Sequence[str] = ()) -> str:
    """The same, and that lower is better where it is.

    Parameters
    ----------
    name
        Of the metric.
    slots
        What was scored; when their directions differ, none is named.
    """
    directions = {higher_is_better(name, slot) for slot in slots or [""]}
    return f"{title(name)} (lower is better)" if directions == {False} else title(name)


SMALL = frozenset({
    "l1", "rmse", "jensen-shannon", "interval-width", "dice", "aji", "pq", "pq-pooled", "mpq", "mpq-pooled",
    "detection-precision", "detection-recall", "detection-f1", "type-f1", "count-error",
})  # fmt: skip
FIRST = ("ari", "pq")  # what the headline tells


def number(value: float, digits: int = 2) -> str:
    """A value with a true minus sign; a dash when there is none."""
    return DASH if np.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def small(p: float) -> str:
    """A probability; far below what a float holds, the bound; a dash when there is none."""
    if np.isnan(p):
        return DASH
    return "< 1e−300" if p < 1e-300 else f"{p:.2g}".replace("-", "−")


def digits_of(metric: str) -> int:
    """How many digits tell values apart: errors of proportions are small, models of nuclei much alike."""
    return 3 if plain(metric).partition(":")[0] in SMALL else 2


def interval(low: float, high: float, digits: int = 2) -> str:
    """``0.28–0.40``; empty when there is none, and with «to» when a bound is negative."""
    if np.isnan(low) or np.isnan(high):
        return ""
    return f"{number(low, digits)}{' to ' if low < 0 else DASH}{number(high, digits)}"


def count(how_many: int, noun: str) -> str:
    """``1 section``, ``1 200 sections``."""
    return f"{figure(how_many)} {noun}{'' if how_many == 1 else 's'}"


def figure(how_many: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{how_many:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """Wall time."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def memory(mib: float) -> str:
    """Peak memory."""
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def summary(facts: Facts, record: RunRecord) -> str:
    """The result in one sentence or two."""
    sections = count(len(facts.samples.names), "section")
    if not facts.guesses:
        result = next((step.to for step in reversed(record.steps) if step.do == "predict"), "")
        if result:
            return f"Cell types of {sections}, predicted to {result}{_value(record.scores, result)}"
        made = next((step for step in reversed(record.steps) if step.do == "deconvolve"), None)
        if made:
            return f"Cell types of {sections}, estimated to {made.to} by {made.use}."
        if nuclei := next((step for step in reversed(record.steps) if step.do == "segment"), None):
            return f"{_found(facts, record)} by {nuclei.use}{_value(record.scores, nuclei.to)}"
        return f"{count(facts.table.n_obs, 'observation')} in {sections}. The recipe predicts no domains."
    last = facts.guesses[-1]
    kinds = count(len(last.names), "domain")
    found = f"up to {kinds} in each of {sections}" if last.per_sample else f"{kinds} over {sections}"
    return f"{found[0].upper()}{found[1:]}{_value(record.scores, last.slot)}"


def _found(facts: Facts, record: RunRecord) -> str:
    """How many nuclei a model that was applied has found; a run tells what finding them was worth."""
    sections = count(len(facts.samples.names), "section")
    frame = record.tables.get("nuclei-found")
    if frame is None or "nuclei" not in frame:
        return f"Nuclei in pictures of {sections}, found"
    total = int(frame["nuclei"].sum())
    return f"{figure(total)} {'nucleus' if total == 1 else 'nuclei'} found in {sections}"


def _value(scores: pd.DataFrame, slot: str) -> str:
    rows = scores[(scores["slot"] == slot) & (scores["metric"] != CLUSTERS)]
    if not len(rows):
        return "; nothing was scored."
    names = list(dict.fromkeys(rows["metric"]))
    names.sort(key=lambda name: (name not in FIRST, ":" in name))  # what follows a donor is no headline
    first = names[0]
    rows = rows[rows["metric"] == first]
    means = rows[rows["sample"] == MEAN]
    row = (means if len(means) else rows).iloc[0]
    digits = digits_of(first)
    between = interval(row["low"], row["high"], digits)
    bounds = f" ({between})" if between else ""
    against = " against the known labels" if first in {"ari", "nmi", "ami"} else ""
    what = "mean " if len(means) else ""
    way = " (lower is better)" if higher_is_better(first, slot) is False else ""
    return (
        f"; {what}{metric_name(first)} {number(row['value'], digits)}{bounds}{way}{against}{_protocol(row)}."
    )


def _protocol(row: pd.Series[Any]) -> str:
    text = row.get("protocol", "")
    return f", {text}" if isinstance(text, str) and text else ""


def is_control(slot: str) -> bool:
    """Whether a row of the scores is a control and no result."""
    return slot.startswith(CONTROL)
