"""The runner: a plan becomes values in the table, a record, and entries in the cache."""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core import slots
from triptych.core.executors import Executor, Serial
from triptych.core.progress import track
from triptych.core.protocols import Array
from triptych.core.randomness import generator
from triptych.pipeline import scoring
from triptych.pipeline.cache import Cache
from triptych.pipeline.plan import PlannedStep, Unit, plan
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.work import Task, gather, make

log = logging.getLogger(__name__)
PACKAGES = ("triptych", "anndata", "numpy", "scipy", "scikit-learn", "harmonypy", "torch")
KIB = 1024


def run(
    recipe: Recipe,
    table: AnnData,
    *,
    data: str = "",
    options: str = "",
    cache: Cache | None = None,
    executor: Executor | None = None,
    per_sample: bool = False,
) -> RunRecord:
    """Run a recipe; results are written into ``table``.

    Parameters
    ----------
    recipe
        What to do.
    table
        A study, as a reader returns it.
    data
        What the user called it, for the record.
    options
        What else the user asked for, for the record.
    cache
        Finished steps are taken from it and kept in it; None: everything runs.
    executor
        How samples are mapped; serial by default.
    per_sample
        Treat each sample as a study of its own.

    Returns
    -------
    The record of the run.

    Raises
    ------
    TriptychError
        As `plan` and the components do.
    """
    start, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    study = Study(table)
    identity = study.identity
    planned = plan(recipe, study, cache, per_sample=per_sample)
    records, rows = [], []
    for step in track(planned, recipe.name, len(planned)):
        done, values = _run_step(step, study, recipe.seed, cache, executor or Serial())
        log.info("%d %s %s: %.1f s", step.index, step.step.do, step.step.use, done.seconds)
        records.append(done)
        if step.step.do == "score":
            done.notes += _undefined(step, values)
            rows += _scored(step, study, recipe.seed, values)
    scores = scoring.table(rows)
    record = RunRecord(
        recipe=recipe.name, title=recipe.title, cite=recipe.cite, seed=recipe.seed,
        data=data, options=options,
        data_identity=identity, steps=records, scores=scores, warnings=_warnings(planned, records, study),
        versions=versions(), started=started, seconds=time.perf_counter() - start, peak_mib=peak_mib(),
    )  # fmt: skip
    _remember(table, record)
    return record


def _run_step(
    planned: PlannedStep, study: Study, seed: int, cache: Cache | None, executor: Executor
) -> tuple[StepRecord, dict[str, Array]]:
    """All units of a step: from the cache where they are, else made; then into the table."""
    start, step = time.perf_counter(), planned.step
    record = StepRecord(
        index=planned.index, do=step.do, use=step.use, to=step.writes, reads=planned.reads,
        params=_params(planned), over=planned.over,
        keys={unit.name: unit.key for unit in planned.units},
        state={unit.name: unit.state for unit in planned.units}, notes=list(planned.notes),
        cite=planned.units[0].component.cite,
    )  # fmt: skip
    units = [unit for unit in planned.units if not (step.do == "score" and unit.state == "skipped")]
    values = _values(planned, units, study, seed, cache, executor, record)
    if step.writes:
        study.write(step.writes, values)
    record.seconds = time.perf_counter() - start
    return record, values


def _values(
    planned: PlannedStep,
    units: list[Unit],
    study: Study,
    seed: int,
    cache: Cache | None,
    executor: Executor,
    record: StepRecord,
) -> dict[str, Array]:
    """Unit → value."""
    found = {unit.name: cache.get(unit.key) for unit in units if cache and unit.state == "cached"}
    values = {name: value for name, value in found.items() if value is not None}
    todo = [unit for unit in units if unit.name not in values]
    tasks = [
        Task(
            do=planned.step.do, component=unit.component, seed=seed, key=unit.key, unit=unit.name,
            inputs=gather(study, planned.step.do, unit.component, planned.reads, unit.name),
        )
        for unit in todo
    ]  # fmt: skip
    done = executor.map(_Make(cache), tasks) if len(tasks) > 1 else [make(task, cache) for task in tasks]
    for unit, value in zip(todo, done, strict=True):
        values[unit.name] = value
        record.state[unit.name] = "skipped" if unit.state == "skipped" else "made"
    return {unit.name: values[unit.name] for unit in units}


class _Make:
    """`make` with its cache; a class, because it has to pickle."""

    def __init__(self, cache: Cache | None) -> None:
        self.cache = cache

    def __call__(self, task: Task) -> Array:
        return make(task, self.cache)


def _params(planned: PlannedStep) -> dict[str, Any]:
    """Validated parameters; where units differ (oracle k) the values by unit."""
    each = {unit.name: asdict(unit.component) for unit in planned.units}
    if len({json.dumps(params, sort_keys=True) for params in each.values()}) == 1:
        return next(iter(each.values()))
    names = list(dict.fromkeys(name for params in each.values() for name in params))
    return {name: _merged([params.get(name) for params in each.values()], list(each)) for name in names}


def _merged(values: list[Any], units: list[str]) -> Any:
    same = all(value == values[0] for value in values)
    return values[0] if same else dict(zip(units, values, strict=True))


def _scored(planned: PlannedStep, study: Study, seed: int, values: dict[str, Array]) -> list[dict[str, Any]]:
    """Rows of the long table that one score step gives."""
    step = planned.step
    protocol = "transductive, oracle K" if planned.oracle else "transductive"
    if step.x:
        protocol += f", in {step.x}"
    common = {"metric": step.use, "slot": step.guess, "seed": seed, "protocol": protocol}
    donors = {name: str(study.about.loc[name, "donor"]) for name in study.samples}
    named = {"(all)" if unit == STUDY else unit: np.asarray(value) for unit, value in values.items()}
    return scoring.rows_of(named, common, donors, generator(seed, f"{planned.index:016x}"))


def _undefined(planned: PlannedStep, values: dict[str, Array]) -> list[str]:
    """Where a score has no value."""
    without = [unit for unit, value in values.items() if np.isnan(np.asarray(value)[0])]
    if not without:
        return []
    return [
        f"{planned.step.use} of {planned.step.guess} is undefined (too few clusters): {', '.join(without)}."
    ]


def _warnings(planned: list[PlannedStep], records: list[StepRecord], study: Study) -> list[str]:
    """What limits the result, in sentences."""
    found = [note for record in records for note in record.notes]
    scored = [step for step in planned if step.step.do == "score"]
    if any(step.oracle for step in planned):
        found.append(
            "Oracle K: the number of clusters was taken from the known labels; a new section has none."
        )
    if any(unit.state != "skipped" for step in scored for unit in step.units):
        found.append("Transductive: everything was fitted on the very sections that are scored.")
    without = _unscored(planned)
    if without:
        found.append(f"Without known labels, so without scores: {', '.join(without)}.")
    missing = {n: _unlabelled(study, n) for n in study.samples} if study.has(slots.TRUTH) else {}
    counts = ", ".join(f"{n} {count}" for n, count in missing.items() if 0 < count < len(study.rows(n)))
    if counts:
        found.append(f"Observations without a known label are left out of the scores: {counts}.")
    if not study.has(slots.SPATIAL_UM):
        found.append("No physical scale is known: distances are in the table's own units, not in µm.")
    if any(s.over == "sample" and s.step.do == "cluster" for s in planned) and len(study.samples) > 1:
        found.append("Each sample was clustered on its own: equal cluster names of two samples mean nothing.")
    return list(dict.fromkeys(found))


def _unscored(planned: list[PlannedStep]) -> list[str]:
    """Units that a score step left out."""
    skipped = [u.name for s in planned if s.step.do == "score" for u in s.units if u.state == "skipped"]
    return ["the study" if name == STUDY else name for name in dict.fromkeys(skipped)]


def _unlabelled(study: Study, unit: str) -> int:
    return int((study.codes(slots.TRUTH, unit)[0] < 0).sum())


def _remember(table: AnnData, record: RunRecord) -> None:
    """Provenance and scores inside the table."""
    made = [
        {
            "slot": step.to, "do": step.do, "use": step.use, "params": json.dumps(step.params),
            "reads": json.dumps(step.reads), "over": step.over, "seed": record.seed,
            "key": json.dumps(step.keys), "version": record.versions["triptych"],
        }
        for step in record.steps
        if step.to
    ]  # fmt: skip
    kept = table.uns[slots.UNS]
    if made:
        before = [kept["made"].reset_index()] if "made" in kept else []
        both = pd.concat([*before, pd.DataFrame(made)], ignore_index=True)
        kept["made"] = both.drop_duplicates("slot", keep="last").set_index("slot")
    if not record.scores.empty:
        kept["scores"] = record.scores.astype(dict.fromkeys(("fold", "donor", "sample"), str))


def versions() -> dict[str, str]:
    """Package → version, of what may move numbers."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}}


def peak_mib() -> float:
    """Peak resident memory of this process, MiB (ru_maxrss is KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (KIB * KIB if sys.platform == "darwin" else KIB)
