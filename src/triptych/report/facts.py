"""What the page tells about a table and its record, taken apart into arrays and names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.errors import MissingSlotError
from triptych.core.protocols import Codes
from triptych.core.slots import DONOR, SAMPLE, TRUTH, UNS, Slot
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.plots.matching import match

LAST = 3  # slots of domains that are shown
MAP = "X_map."  # begins the key of a space that is only made to be looked at


@dataclass(frozen=True, eq=False)
class Labels:
    """Categories with their colours.

    Parameters
    ----------
    slot
        Where they lie.
    names
        Name of each category.
    codes
        Category of each observation, shape (n,); -1 = unlabelled.
    colours
        Colour of each observation, shape (n,); -1 = unlabelled.
    legend
        What a colour stands for → its code.
    per_sample
        Whether the sections were clustered one by one, so that a number means nothing in another section.
    """

    slot: str
    names: list[str]
    codes: Codes
    colours: Codes
    legend: dict[str, int]
    per_sample: bool = False


@dataclass(frozen=True, eq=False)
class Facts:
    """The table as the page needs it.

    Parameters
    ----------
    table
        As it came.
    samples
        Sections with the colour of each observation.
    truth
        Known labels; None where there is none.
    guesses
        The last slots that a clusterer or refiner wrote, in order, without those that were only refined.
    view
        Key of the last fused view that is no map, else the last aligned one, else the last one; empty for
        none.
    meta
        One row for each section, indexed by its name; may be empty.
    types
        What annotators wrote, in order, in the colours of the known labels of the same names.
    """

    table: AnnData
    samples: Labels
    truth: Labels | None
    guesses: list[Labels]
    view: str
    meta: pd.DataFrame = field(default_factory=pd.DataFrame)
    types: list[Labels] = field(default_factory=list)

    def rows(self, sample: int) -> Any:
        """Which observations belong to a section, shape (n,) of booleans."""
        return self.samples.codes == sample

    def about(self, sample: str, name: str) -> Any:
        """An entry on a section; None when it is not known."""
        if sample not in self.meta.index or name not in self.meta.columns:
            return None
        value = self.meta[name].to_numpy()[self.meta.index.get_loc(sample)]
        return None if pd.isna(value) or value == "" else value

    @property
    def donors(self) -> int:
        """Number of donors; 0 when they are not known."""
        key = Slot.parse(DONOR).key
        return int(self.table.obs[key].nunique()) if key in self.table.obs else 0


def gather(table: AnnData, record: RunRecord) -> Facts:
    """Take apart what the page needs.

    Raises
    ------
    MissingSlotError
        When the table does not say which section an observation belongs to.
    """
    key = Slot.parse(SAMPLE).key
    if key not in table.obs:
        have = ", ".join(map(str, table.obs.columns)) or "nothing"
        raise MissingSlotError(
            f"The table has no {SAMPLE}. obs has: {have}.", "Name the section of each row there."
        )
    samples = categories(table, SAMPLE)
    truth = categories(table, TRUTH) if Slot.parse(TRUTH).key in table.obs else None
    truth = truth if truth is not None and truth.names else None
    written = [
        step.to for step in record.steps if step.do in {"cluster", "refine"} and step.to.startswith("obs:")
    ]
    raw = {step.reads.get("labels") for step in record.steps if step.do == "refine"}
    scored = set(record.scores["slot"]) if len(record.scores) else set()
    written = [slot for slot in written if slot not in raw or slot in scored]  # what was refined is half-way
    slots = [slot for slot in dict.fromkeys(written) if Slot.parse(slot).key in table.obs]
    guesses = [guess(table, slot, truth, samples, record) for slot in slots[-LAST:]]
    meta = table.uns.get(UNS, {}).get("samples")
    known = pd.DataFrame() if meta is None else pd.DataFrame(meta).rename(index=str)
    types = _types(table, record.steps, truth)
    return Facts(table, samples, truth, guesses, _view(table, record.steps), known, types)


def categories(table: AnnData, slot: str) -> Labels:
    """A column of ``obs`` as categories; those that never occur are dropped."""
    column = table.obs[Slot.parse(slot).key].astype("category").cat.remove_unused_categories()
    codes = column.cat.codes.to_numpy(np.int64)
    names = [str(name) for name in column.cat.categories]
    return Labels(slot, names, codes, codes, {name: code for code, name in enumerate(names)})


def shades(truth: Labels | None, types: Iterable[Labels], names: Iterable[str] = ()) -> dict[str, int]:
    """Colour of each type, the same wherever it is drawn: known labels, annotated types, then others."""
    known = [*(truth.names if truth else []), *(name for one in types for name in one.names), *names]
    return {name: code for code, name in enumerate(dict.fromkeys(known))}


def _types(table: AnnData, steps: list[StepRecord], truth: Labels | None) -> list[Labels]:
    """What annotators wrote that is still there."""
    slots = dict.fromkeys(step.to for step in steps if step.do == "annotate")
    found = [categories(table, slot) for slot in slots if Slot.parse(slot).key in table.obs]
    colours = shades(truth, found)
    shown = []
    for one in found:
        of = np.array([*(colours[name] for name in one.names), -1])
        legend = {name: colours[name] for name in sorted(one.names, key=colours.__getitem__)}
        shown.append(replace(one, colours=of[one.codes], legend=legend))
    return shown


def guess(table: AnnData, slot: str, truth: Labels | None, samples: Labels, record: RunRecord) -> Labels:
    """Predicted domains in the colours of the known labels they overlap most."""
    found = categories(table, slot)
    if truth is None:
        return Labels(
            slot, found.names, found.codes, found.codes, found.legend, clustered_apart(slot, record.steps)
        )
    if not clustered_apart(slot, record.steps):
        colours = _assign(match(truth.codes, found.codes), len(found.names), len(truth.names))
        names = {
            _named(found.names[code], truth, colour): colour
            for code, colour in sorted(enumerate(colours), key=itemgetter(1))
        }
        return Labels(slot, found.names, found.codes, np.append(colours, -1)[found.codes], names)
    shown = np.full(len(found.codes), -1)
    for sample in range(len(samples.names)):
        rows = samples.codes == sample
        colours = _assign(match(truth.codes[rows], found.codes[rows]), len(found.names), len(truth.names))
        shown[rows] = np.append(colours, -1)[found.codes[rows]]
    beyond = np.unique(shown[shown >= len(truth.names)])
    others = {f"unmatched {count}": int(code) for count, code in enumerate(beyond, start=1)}
    names = {f"≈ {name}": code for code, name in enumerate(truth.names) if (shown == code).any()} | others
    return Labels(slot, found.names, found.codes, shown, names, per_sample=True)


def _assign(matched: dict[int, int], guesses: int, truths: int) -> Codes:
    """Colour of each predicted domain: that of its label, else one that no label has."""
    free = iter(range(truths, truths + guesses))
    return np.array(
        [matched[code] if code in matched else next(free) for code in range(guesses)], dtype=np.int64
    )


def _named(name: str, truth: Labels, colour: int) -> str:
    return f"{name} ≈ {truth.names[colour]}" if colour < len(truth.names) else name


def clustered_apart(slot: str, steps: list[StepRecord]) -> bool:
    """Whether the labels in a slot began as clusters of single sections; refiners keep their names."""
    writer = next((step for step in reversed(steps) if step.to == slot), None)
    if writer is None or writer.do == "cluster":
        return writer is not None and writer.over == "sample"
    earlier = steps[: steps.index(writer)]
    return any(clustered_apart(read, earlier) for read in writer.reads.values() if read.startswith("obs:"))


def _view(table: AnnData, steps: list[StepRecord]) -> str:
    """The space in which the result was clustered, else the last one that was made."""
    clustered = [step.reads["x"] for step in steps if step.do == "cluster" and "x" in step.reads]
    key = clustered[-1].removeprefix("obsm:") if clustered else ""
    if isinstance(table.obsm.get(key), np.ndarray):
        return key
    for verb in ("fuse", "align", "encode"):
        for step in reversed(steps):
            container, _, key = step.to.partition(":")
            drawn = container == "obsm" and not key.startswith(MAP)
            if step.do == verb and drawn and isinstance(table.obsm.get(key), np.ndarray):
                return key
    return ""
