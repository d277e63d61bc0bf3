"""Tables of analyses by what they hold: one kind over many views is told together, the others one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from triptych.core.slots import Slot
from triptych.pipeline.record import RunRecord
from triptych.report.newcomers import holds_distances

PAIR: Final = {"group", "other", "n", "n_other", "r2", "pvalue", "padj"}
KINDS: Final = {
    "forest": {"folds", "group", "n", "recall", "deviation", "shuffled"},
    "permanova": PAIR | {"pseudo_f", "distance"},
    "permdisp": PAIR | {"f_statistic", "dispersion", "dispersion_other", "wider"},
    "ridge": {"gene", "r2", "deviation", "r2_blocks", "latent", "pvalue", "padj"},
    "jaccard": {"group", "n", "jaccard", "cluster"},
}
OF_ABUNDANCE: Final = {
    "predictability": {
        "type",
        "guess",
        "control",
        "n",
        "pearson",
        "pearson_control",
        "difference",
        "verdict",
    },
    "colocalisation": {"sample", "of", "type", "other", "r", "pvalue", "padj", "n"},
    "colocalisation-similarity": {"sample", "guess", "cosine", "correlation", "types"},
}
OF_NUCLEI: Final = {
    "nuclei-scores": {"organ", "class", "metric", "over", "value", "low", "high", "images", "true", "found"},
}
BESIDE: Final = {  # tables that no analysis made, by their names
    "registration": {"sample", "dx_px", "dy_px", "used", "refused"},
    "labels": {"organ", "donor", "sample", "tiles", "nuclei"},
    "nuclei-found": {"sample", "nuclei"},
}
WORDS: Final = {  # columns of names, the others are numbers
    "folds", "group", "other", "gene", "cluster", "wider", "of", "type", "guess", "control", "verdict",
    "organ", "class", "metric", "over",
}  # fmt: skip
MOST: Final = 16  # views of one kind that the page shows
TYPES: Final = 40  # known types of a picture


@dataclass(frozen=True, eq=False)
class View:
    """What one analysis found in one view, or for one labelling.

    Parameters
    ----------
    name
        Of the view: what follows the first dot of the table's name, else the space that was analysed.
    table
        Name of the table.
    frame
        Its rows, at least one.
    """

    name: str
    table: str
    frame: pd.DataFrame


def analysed(record: RunRecord) -> dict[str, pd.DataFrame]:
    """The tables of analyses: all but the distances of new sections and what steps on nuclei left beside."""
    return {
        name: frame
        for name, frame in record.tables.items()
        if not holds_distances(name, frame) and beside(record, name) is None
    }


def beside(record: RunRecord, name: str) -> pd.DataFrame | None:
    """One of the tables in `BESIDE`; None where there is none of that name, or an analysis called it so."""
    frame = record.tables.get(name)
    if frame is None or name not in BESIDE or not set(frame) >= BESIDE[name]:
        return None
    return frame


def reads_of(record: RunRecord) -> dict[str, dict[str, str]]:
    """Table → role → slot, of the step that made it; nothing where it is not known."""
    steps = [step for step in record.steps if step.do == "analyse"]
    named = {step.to: step.reads for step in steps if step.to}
    unnamed = iter([step.reads for step in steps if not step.to])  # those stand in the order of their tables
    return {name: named[name] if name in named else next(unnamed, {}) for name in analysed(record)}


def kind_of(frame: pd.DataFrame, kinds: Mapping[str, set[str]] = KINDS) -> str:
    """Which of some kinds a table is, by its columns; empty for another."""
    return next((kind for kind, columns in kinds.items() if set(frame) >= columns), "")


def views(record: RunRecord) -> dict[str, list[View]]:
    """Kind → what was found in each view, in the order of the tables; kinds without rows are left out."""
    found: dict[str, list[View]] = {}
    reads = reads_of(record)
    for name, frame in analysed(record).items():
        kind = kind_of(frame)
        if kind and len(frame):
            found.setdefault(kind, []).extend(_by_section(_named(name, reads[name]), name, _floats(frame)))
    return {kind: found[kind] for kind in KINDS if kind in found}


def of_abundance(record: RunRecord) -> dict[str, list[View]]:
    """Kind → the whole tables of that kind, of `OF_ABUNDANCE`; those without rows are left out."""
    found: dict[str, list[View]] = {}
    for name, frame in analysed(record).items():
        kind = kind_of(frame, OF_ABUNDANCE)
        if kind and len(frame):
            found.setdefault(kind, []).append(View(name, name, _floats(frame)))
    return {kind: found[kind] for kind in OF_ABUNDANCE if kind in found}


def of_nuclei(record: RunRecord) -> list[View]:
    """What was found out of each segmenter, in the order of the tables; those without rows are left out."""
    found, reads = list[View](), reads_of(record)
    for name, frame in analysed(record).items():
        if kind_of(frame, OF_NUCLEI) and len(frame):
            found.extend(_by_section(_named(name, reads[name]), name, _floats(frame)))
    return found


def others(record: RunRecord) -> dict[str, pd.DataFrame]:
    """The tables that are told one by one; those of nuclei are not, even without rows."""
    told = [views(record), of_abundance(record)]
    grouped = {one.table for chapter in told for some in chapter.values() for one in some}
    return {
        name: frame
        for name, frame in analysed(record).items()
        if name not in grouped and not kind_of(frame, OF_NUCLEI)
    }


def cut(found: list[View]) -> tuple[list[View], str]:
    """The views that the page shows, each with a name of its own, and a word on those that it does not."""
    names = [one.name for one in found]
    own = [one if names.count(one.name) == 1 else replace(one, name=one.table) for one in found]
    if len(own) <= MOST:
        return own, ""
    return own[:MOST], f"The first {MOST} of {len(own)} are shown; the folder tables holds all."


def types_of(frames: list[pd.DataFrame]) -> tuple[list[str], str]:
    """Known types by falling number, the first of them, and a word on those that are not drawn."""
    sizes: dict[str, float] = {}
    for frame in frames:
        for group, number in (("group", "n"), ("other", "n_other")):
            if group in frame:
                for name, size in zip(frame[group], frame[number], strict=True):
                    sizes[name] = max(size, sizes.get(name, 0))
    sizes.pop("(mean)", None)
    names = sorted(sizes, key=lambda name: -sizes[name])
    told = f"The {TYPES} largest of {len(names)} types are drawn; the folder tables holds all."
    return names[:TYPES], told if len(names) > TYPES else ""


def _floats(frame: pd.DataFrame) -> pd.DataFrame:
    """Names as text and numbers as floats: a table that was read back may hold None."""
    attrs = frame.attrs
    frame = frame.copy()
    for column in frame:
        if column in WORDS | {"sample"}:
            frame[column] = frame[column].astype(str)
        else:
            frame[column] = pd.to_numeric(frame[column], errors="coerce").astype(float)
    frame.attrs = attrs
    return frame


def _named(name: str, reads: dict[str, str]) -> str:
    view = name.partition(".")[2]
    slot = reads.get("x", "") or reads.get("labels", "") or reads.get("nuclei", "")
    return view or (Slot.parse(slot).key.removeprefix("X_") if ":" in slot else name)


def _by_section(view: str, name: str, frame: pd.DataFrame) -> list[View]:
    """The whole table, or its rows on each section where they were analysed one by one."""
    if "sample" not in frame:
        return [View(view, name, frame)]
    parts = frame.groupby("sample", sort=False, observed=True)
    return [View(f"{view}, section {sample}", name, rows) for sample, rows in parts]
