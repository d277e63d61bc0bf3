"""What limits a result, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from triptych.core import slots
from triptych.pipeline.planned import TRANSDUCTIVE, PlannedStep
from triptych.pipeline.record import StepRecord
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.wiring import OF_ABUNDANCE


def undefined(planned: PlannedStep, values: dict[str, Any]) -> list[str]:
    """Where a score has no value."""
    without = [unit for unit, value in values.items() if np.isnan(np.asarray(value)[0])]
    if not without:
        return []
    return [
        f"{planned.step.use} of {planned.step.guess} is undefined ({_why(planned)}): {', '.join(without)}."
    ]


def _why(planned: PlannedStep) -> str:
    if planned.units[0].component.against == "nuclei":
        return "no picture of it is judged, or nothing in it"
    of_types = planned.units[0].component.against in OF_ABUNDANCE
    return "nothing known varies" if of_types else "too few clusters"


def warnings(planned: list[PlannedStep], records: list[StepRecord], study: Study) -> list[str]:
    """What limits the result, in sentences."""
    found = [note for record in records for note in record.notes]
    scored = [step for step in planned if step.step.do == "score"]
    if any(step.k_from == "truth" for step in planned):
        found.append(
            "Oracle K: the number of clusters was taken from the known labels; a new section has none."
        )
    fitted_on = [step for step in scored if step.protocol == TRANSDUCTIVE]
    if any(unit.state != "skipped" for step in fitted_on for unit in step.units):
        found.append("Transductive: everything was fitted on the very sections that are scored.")
    without = _unscored(planned)
    if without:
        found.append(f"Without known labels, so without scores: {', '.join(without)}.")
    against = any(slots.TRUTH in step.reads.values() for step in scored)
    missing = {n: _unlabelled(study, n) for n in study.samples} if against and study.has(slots.TRUTH) else {}
    counts = ", ".join(f"{n} {count}" for n, count in missing.items() if 0 < count < len(study.rows(n)))
    if counts:
        found.append(f"Observations without a known label are left out of the scores: {counts}.")
    informed = [s for s in planned if getattr(s.units[0].component, "takes", "") == "labelled-counts"]
    if informed:
        written = ", ".join(s.step.writes for s in informed)
        found.append(
            f"{written}: genes were chosen by the known labels, so whatever is built on them has seen them."
        )
    if not study.has(slots.SPATIAL_UM):
        found.append("No physical scale is known: distances are in the table's own units, not in µm.")
    if any(s.over == "sample" and s.step.do == "cluster" for s in planned) and len(study.samples) > 1:
        found.append("Each sample was clustered on its own: equal cluster names of two samples mean nothing.")
    return list(dict.fromkeys(found))


def _unscored(planned: list[PlannedStep]) -> list[str]:
    """Units that a score step left out."""
    known = [s for s in planned if s.step.do == "score" and slots.TRUTH in s.reads.values()]
    skipped = [u.name for s in known for u in s.units if u.state == "skipped"]
    return ["the study" if name == STUDY else name for name in dict.fromkeys(skipped)]


def _unlabelled(study: Study, unit: str) -> int:
    return int((study.codes(slots.TRUTH, unit)[0] < 0).sum())
