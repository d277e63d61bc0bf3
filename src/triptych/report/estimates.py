"""What the table and the record say of cell types: what was predicted, of what, and by whom it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core.protocols import Matrix
from triptych.core.slots import ABUNDANCE, UNS, Slot
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.report.facts import Facts

ONE: Final = 0.02  # how far the sum of proportions may be from 1


@dataclass(frozen=True, eq=False)
class Estimate:
    """Cell types of every observation.

    Parameters
    ----------
    slot
        Where they lie.
    values
        Shape (n, t); NaN where nothing is known.
    types
        Names of the types, t of them.
    step
        The predict step that wrote it; None for what is predicted, the target.
    low, high
        Ends of the intervals, shape (n, t); None where there is none.
    """

    slot: str
    values: Matrix
    types: list[str]
    step: StepRecord | None = None
    low: Matrix | None = None
    high: Matrix | None = None

    @property
    def name(self) -> str:
        """Of the slot, without its container."""
        return self.slot.partition(":")[2]

    @property
    def known(self) -> Any:
        """Which rows hold values, shape (n,) of booleans."""
        return np.isfinite(self.values).all(axis=1)

    def of(self, types: list[str], values: Matrix | None = None) -> Matrix:
        """Columns of some types, shape (n, k), NaN of a type that it lacks."""
        frame = pd.DataFrame(self.values if values is None else values, columns=self.types)
        return frame.reindex(columns=types).to_numpy(np.float64)


def predict_steps(record: RunRecord) -> list[StepRecord]:
    """The steps that predicted cell types, the last one of each slot."""
    return list({step.to: step for step in record.steps if step.do == "predict" and step.to}.values())


def predictions(facts: Facts, record: RunRecord) -> list[Estimate]:
    """What was predicted, in the order of the steps."""
    found = (_estimate(facts, step.to, step) for step in predict_steps(record))
    return [one for one in found if one is not None]


def targets(facts: Facts, record: RunRecord) -> list[Estimate]:
    """What was predicted of: named by predict steps, else written by deconvolution."""
    read = [step.reads.get("target", ABUNDANCE) for step in predict_steps(record)]
    made = [step.to for step in record.steps if step.do == "deconvolve"]
    found = (_estimate(facts, slot) for slot in dict.fromkeys([*read, *made]))
    return [one for one in found if one is not None]


def target_of(one: Estimate, held: list[Estimate]) -> Estimate | None:
    """What a prediction is held against; None where the table lacks it, as it does of new sections."""
    slot = one.step.reads.get("target", ABUNDANCE) if one.step else one.slot
    return next((other for other in held if other.slot == slot), None)


def _estimate(facts: Facts, slot: str, step: StepRecord | None = None) -> Estimate | None:
    parsed = Slot.parse(slot)
    frame = facts.table.obsm.get(parsed.key) if parsed.container == "obsm" else None
    if not isinstance(frame, pd.DataFrame):
        return None
    ends = [facts.table.obsm.get(f"{parsed.key}.{end}") for end in ("low", "high")]
    low, high = (np.asarray(end, np.float64) if end is not None else None for end in ends)
    return Estimate(slot, frame.to_numpy(np.float64), list(map(str, frame.columns)), step, low, high)


def origin(facts: Facts, record: RunRecord, slot: str) -> str:
    """How an estimate came about, e.g. ``an estimate by nnls (proportions)``."""
    use, gives = _maker(facts, record, slot)
    if not use:
        return "an estimate that came with the data"
    return f"an estimate by {use}{f' ({gives})' if gives else ''}"


def unit(facts: Facts, record: RunRecord, one: Estimate) -> str:
    """What the numbers of an estimate are."""
    gives = _maker(facts, record, one.slot)[1]
    if gives:
        return gives
    sums = one.values[one.known].sum(axis=1)
    return "proportion" if len(sums) and np.abs(sums - 1).max() <= ONE else "abundance"


def _maker(facts: Facts, record: RunRecord, slot: str) -> tuple[str, str]:
    """The component that wrote a slot in this run or an earlier one, and what it says that it gives."""
    step = next((step for step in reversed(record.steps) if step.to == slot), None)
    if step is not None:
        return step.use, step.gives
    made = facts.table.uns.get(UNS, {}).get("made")
    if not isinstance(made, pd.DataFrame) or slot not in made.index:
        return "", ""
    row = made.loc[slot]
    return tuple("" if pd.isna(text := row.get(key, "")) else str(text) for key in ("use", "gives"))  # type: ignore[return-value]
