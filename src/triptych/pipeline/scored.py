"""Rows of the long table of scores, and tables of analyses put together."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.core.protocols import Vector
from triptych.core.slots import Slot
from triptych.pipeline import scoring
from triptych.pipeline.study import STUDY, Study

K_WORDS: Final = {
    "recipe": "", "truth": ", oracle K",
    "bic": ", K by information criterion", "stability": ", K by stability",
}  # fmt: skip


def score_rows(
    step: Any, study: Study, values: dict[str, Vector], *, seed: int, protocol: str, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows that one score step gives: its units, controls, their mean, and how many clusters were scored.

    Parameters
    ----------
    step
        Of the recipe.
    study
        What was scored.
    values
        Unit → what `triptych.pipeline.scoring.score` gave.
    seed
        Of the run.
    protocol
        How what is scored was fitted, in words.
    rng
        Of the interval of the mean.
    """
    where = f", in {step.x}" if step.x else ""
    plain = step.truth in {slots.TRUTH, slots.ABUNDANCE}
    other = "" if step.x or plain else f":{Slot.parse(step.truth).key}"
    other = f":{step.organs}" if step.organs != "all" else other
    common = {"metric": f"{step.use}{other}", "slot": step.guess, "seed": seed, "protocol": protocol + where}
    named = {"(all)" if unit == STUDY else unit: np.asarray(value) for unit, value in values.items()}
    rows = scoring.rows_of(named, common, study.donors, rng)
    if step.guess in slots.OF_DATA or Slot.parse(step.guess).container != "obs":
        return rows
    for unit in values:
        count = len(study.codes(step.guess, unit)[1])
        rows.append({
            **common, "metric": "clusters", "protocol": protocol, "fold": "", "value": float(count),
            "sample": "(all)" if unit == STUDY else unit, "donor": study.donors.get(unit, ""),
            "n": len(study.rows(unit)),
        })  # fmt: skip
    return rows


def together(values: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of an analysis, with the sample in front where there are several."""
    if set(values) == {STUDY}:
        return values[STUDY]
    return pd.concat([value.assign(sample=unit) for unit, value in values.items()], ignore_index=True)
