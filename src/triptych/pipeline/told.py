"""What the steps of a run tell its record: scores, tables, pictures, stores of tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from triptych.core.randomness import generator
from triptych.pipeline import labelling, limits, registering
from triptych.pipeline.planned import PlannedStep
from triptych.pipeline.record import Shown, StepRecord
from triptych.pipeline.scored import K_WORDS, score_rows, together
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.work import Made


@dataclass
class Told:
    """What the steps of a run tell the record.

    Parameters
    ----------
    study
        That they work on.
    seed
        Of the run.
    rows
        Of the long table of scores.
    tables, stores, shown
        As in `RunRecord`.
    """

    study: Study
    seed: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    stores: dict[str, str] = field(default_factory=dict)
    shown: Shown = field(default_factory=Shown)

    def take(self, step: PlannedStep, done: StepRecord, made: dict[str, Made]) -> None:
        """Take what one step made; ``done`` receives notes."""
        values = {unit: one.value for unit, one in made.items()}
        if step.keeps:
            self.shown.see(step.step.writes, made[STUDY].model)
        if step.step.do == "register":
            found = {unit: one.model for unit, one in made.items()}
            self.tables[registering.TABLE] = registering.table_of(found)
            done.notes += registering.notes_of(found)
        if step.step.do == "segment":
            store = labelling.store_of(self.study, step.step)
            self.stores[step.step.learn_from] = str(store.folder)
            self.tables["labels"] = labelling.summary(store)
        if step.step.do == "analyse" and values:
            self.tables[step.step.to] = together(values)
        if step.step.do == "score":
            done.notes += limits.undefined(step, values)
            self.rows += _scored(step, self.study, self.seed, values)


def _scored(planned: PlannedStep, study: Study, seed: int, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the long table that one score step gives."""
    rng, protocol = generator(seed, f"{planned.index:016x}"), f"{planned.protocol}{K_WORDS[planned.k_from]}"
    return score_rows(planned.step, study, values, seed=seed, protocol=protocol, rng=rng)
