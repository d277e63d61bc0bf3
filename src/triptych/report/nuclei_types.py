"""What nuclei are by their transcripts: how many of each type, how sure, and how often that is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Vector
from triptych.core.slots import Slot
from triptych.maths.reliability import calibration_error, reliability
from triptych.plots.reliability import reliability as curve
from triptych.report.canvas import Canvas, slug
from triptych.report.facts import Facts, Labels
from triptych.report.markup import Html, join, table, tag
from triptych.report.results import swatch
from triptych.report.wording import DASH, figure, number

NONE: Final = "no type"
ALIKE: Final = {"neoplastic": "epithelial"}  # type → what it counts as where the known labels have no such
MOST: Final = 24  # types of a table
UNSURE: Final = (
    "A nucleus whose likeliest type is not likely enough has none: it teaches where nuclei are, but not what "
    "they are."
)


@dataclass(frozen=True, eq=False)
class Guessed:
    """The likeliest type of each nucleus, whether or not it is likely enough to be used.

    Parameters
    ----------
    names
        Of the types, as the known labels have them.
    codes
        Shape (n,); -1 where nothing can be said.
    confidence
        Probability of that type, shape (n,); NaN where nothing can be said.
    merged
        Which types count as which others.
    """

    names: list[str]
    codes: Codes
    confidence: Vector
    merged: dict[str, str]


def types_block(canvas: Canvas, facts: Facts) -> Html:
    """For each annotator its types and how sure it is; where labels are known, how often it is right."""
    return join(_one(canvas, facts, labels) for labels in facts.types)


def _one(canvas: Canvas, facts: Facts, labels: Labels) -> Html:
    title = "Types by transcripts"
    several = tag("small", f" {labels.slot}") if len(facts.types) > 1 else Html("")
    guessed = guessed_of(facts, labels)
    parts = [tag("h3", title, several), tag("p", UNSURE, class_="note"), _sizes(facts, labels)]
    known = facts.truth is not None and ((facts.truth.codes >= 0) & (guessed.codes >= 0)).any()
    if known and facts.truth is not None:
        parts += [_confusion(facts, labels, facts.truth, guessed)]
    if np.isfinite(guessed.confidence).any():
        parts += [_curve(canvas, labels, guessed, facts.truth if known else None)]
    return join(parts)


def guessed_of(facts: Facts, labels: Labels) -> Guessed:
    """The likeliest types, of all nuclei where their probabilities were kept, else of those that have one."""
    frame = facts.table.obsm.get(Slot.parse(labels.slot).key)
    truth = facts.truth.names if facts.truth else []
    if not isinstance(frame, pd.DataFrame) or not frame.shape[1]:
        merged = _merged(labels.names, truth)
        names = list(dict.fromkeys(merged.get(name, name) for name in labels.names))
        of = np.array([*(names.index(merged.get(name, name)) for name in labels.names), -1])
        sure = np.where(labels.codes >= 0, _confidence(facts, labels), np.nan)
        return Guessed(names, of[labels.codes], sure, merged)
    columns = [str(name) for name in frame.columns]
    merged = _merged(columns, truth)
    names = list(dict.fromkeys(merged.get(name, name) for name in columns))
    values = np.zeros((len(frame), len(names)))
    for name, column in zip(columns, frame.to_numpy(np.float64).T, strict=True):
        values[:, names.index(merged.get(name, name))] += column
    known = np.isfinite(values).all(axis=1)
    codes = np.where(known, np.nan_to_num(values).argmax(axis=1), -1)
    return Guessed(names, codes, np.where(known, np.nan_to_num(values).max(axis=1), np.nan), merged)


def _merged(names: list[str], truth: list[str]) -> dict[str, str]:
    return {
        name: other for name, other in ALIKE.items() if name in names and name not in truth and other in truth
    }


def _confidence(facts: Facts, labels: Labels) -> Vector:
    """What was written beside the types, shape (n,); NaN where nothing was."""
    key = f"{Slot.parse(labels.slot).key}.confidence"
    if key not in facts.table.obs:
        return np.full(facts.table.n_obs, np.nan)
    return np.asarray(facts.table.obs[key], np.float64)


def _sizes(facts: Facts, labels: Labels) -> Html:
    """Nuclei of each type by falling number, those of none last."""
    sure, total = _confidence(facts, labels), max(len(labels.codes), 1)
    sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.names))
    order = np.argsort(-sizes, kind="stable").tolist()
    lines = []
    for code in [*order[:MOST], -1]:
        mine = labels.codes == code
        name = labels.names[code] if code >= 0 else NONE
        dot = swatch(labels.legend[name] if code >= 0 else -1)
        lines.append(
            [join([dot, name]), figure(int(mine.sum())), f"{mine.sum() / total:.1%}", *_spread(sure[mine])]
        )
    head = ["Type", "Nuclei", "Share", "Median confidence", "5 % to 95 % of nuclei"]
    more = f"; the {MOST} largest of {len(order)}" if len(order) > MOST else ""
    caption = f"Nuclei of each type, of {figure(len(labels.codes))}{more}"
    return tag("div", table(caption, head, lines), class_="score")


def _spread(sure: Vector) -> list[str]:
    sure = sure[np.isfinite(sure)]
    if not len(sure):
        return [DASH, DASH]
    low, middle, high = np.quantile(sure, [0.05, 0.5, 0.95])
    return [number(float(middle)), f"{number(float(low))}{DASH}{number(float(high))}"]


def _confusion(facts: Facts, labels: Labels, truth: Labels, guessed: Guessed) -> Html:
    """Known types down, annotated types across; of the nuclei that have a type by transcripts."""
    names, counts = confusion(truth, labels, guessed)
    right = [counts[row, names.index(name)] if name in names else 0 for row, name in enumerate(truth.names)]
    lines: list[list[str | Html]] = []
    for row, name in enumerate(truth.names[:MOST]):
        cells: list[str | Html] = [
            tag("b", figure(int(n))) if other == name else figure(int(n))
            for other, n in zip([*names, NONE], counts[row], strict=True)
        ]
        lines.append([name, *cells, _share(right[row], counts[row, :-1].sum())])
    columns = counts[:, :-1].sum(axis=0)
    hits = [right[truth.names.index(name)] if name in truth.names else 0 for name in names]
    shares = [_share(hit, n) for hit, n in zip(hits, columns, strict=True)]
    typed, total = int(columns.sum()), int(counts.sum())
    lines.append(["right, of those called so", *shares, "", tag("b", _share(sum(right), typed))])
    head = ["Known as", *names, NONE, "right, of those with a type"]
    caption = (
        f"{figure(total)} nuclei whose type is known: {_share(typed, total)} have a type by transcripts, of "
        f"which {_share(sum(right), typed)} are right"
    )
    return tag("div", table(caption, head, lines), _told(guessed), class_="score")


def confusion(truth: Labels, labels: Labels, guessed: Guessed) -> tuple[list[str], NDArray[Any]]:
    """Names of columns, and nuclei by known and annotated type, shape (t, k + 1); the last column: none."""
    occurring = {guessed.names[code] for code in np.unique(guessed.codes[guessed.codes >= 0])}
    names = [name for name in dict.fromkeys([*truth.names, *guessed.names]) if name in occurring]
    of = np.array([*(names.index(n) if n in names else len(names) for n in guessed.names), len(names)])
    shown = np.where(labels.codes >= 0, of[guessed.codes], len(names))
    counts = np.zeros((len(truth.names), len(names) + 1), np.int64)
    known = truth.codes >= 0
    np.add.at(counts, (truth.codes[known], shown[known]), 1)
    return names, counts


def _told(guessed: Guessed) -> Html:
    """What counts as what; empty where nothing does."""
    words = [
        f"The known labels have no {name}: it counts as {other}, and the probabilities of both are added."
        for name, other in guessed.merged.items()
    ]
    return join(tag("p", text, class_="note") for text in words)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else DASH


def _curve(canvas: Canvas, labels: Labels, guessed: Guessed, truth: Labels | None) -> Html:
    """Accuracy by confidence where labels are known, else how many nuclei there are of each confidence."""
    right, sure = np.zeros(len(guessed.codes), bool), guessed.confidence
    if truth is not None:
        of = np.array([*(truth.names.index(n) if n in truth.names else -2 for n in guessed.names), -2])
        right = of[guessed.codes] == truth.codes
        sure = np.where(truth.codes >= 0, sure, np.nan)
    frame = reliability(sure, right)
    told = ""
    if truth is None:
        frame["accuracy"] = np.nan
    else:
        told = (
            f" expected calibration error {number(calibration_error(frame), 3)}, of all nuclei of known type"
        )

    def draw(ax: Axes, ink: str) -> None:
        curve(ax, frame, noun="nuclei", ink=ink)

    said = "How often types of each confidence are right" if truth is not None else "How sure the types are"
    picture = canvas.chart(f"reliability-{slug(labels.slot)}", draw, (5.0, 3.6), said)
    return tag("figure", tag("figcaption", said, tag("small", told)), picture, class_="broad narrow")
