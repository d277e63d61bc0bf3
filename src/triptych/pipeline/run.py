"""The runner: a plan becomes values in the table, a record, and entries in the cache."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from anndata import AnnData

from triptych.core.errors import WeightsError
from triptych.core.executors import Executor, Serial
from triptych.core.progress import track
from triptych.pipeline import folding, limits, registering, scoring, segmenting
from triptych.pipeline.cache import Cache
from triptych.pipeline.chain import Chain
from triptych.pipeline.each import bound
from triptych.pipeline.memory import Peak
from triptych.pipeline.plan import JUDGING, plan
from triptych.pipeline.planned import PlannedStep, Unit
from triptych.pipeline.provenance import peak_mib, remember, versions
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.told import Told
from triptych.pipeline.windowing import loaded
from triptych.pipeline.work import Made, Task, gathered, make
from triptych.pipeline.written import put_annotation

log = logging.getLogger(__name__)


class Done(NamedTuple):
    """What a run leaves: its record, and the fitted chain that applies to other sections."""

    record: RunRecord
    chain: Chain


def run(
    recipe: Recipe,
    table: AnnData,
    *,
    data: str = "",
    options: str = "",
    cache: Cache | None = None,
    executor: Executor | None = None,
    per_sample: bool = False,
) -> Done:
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
    The record of the run, and the fitted chain that applies to other sections.

    Raises
    ------
    TriptychError
        As `plan` and the components do.
    """
    start, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    study = Study(table)
    identity, recipe = study.identity, bound(recipe, study)
    planned = plan(recipe, study, cache, per_sample=per_sample)
    study.neighbours_wanted = _neighbours_wanted(planned)
    records, models, told = [], Learned(), Told(study, recipe.seed)
    for step in track(planned, recipe.name, len(planned)):
        with Peak() as memory:
            done, made = _run_step(step, study, models, recipe.seed, cache, executor or Serial())
        done.peak_mib = memory.mib
        log.info("%d %s %s: %.1f s", step.index, step.step.do, step.step.use, done.seconds)
        records.append(done)
        if step.keeps:
            models.kept[step.index] = made[STUDY].model
        told.take(step, done, made)
    scores = scoring.table(told.rows)
    record = RunRecord(
        recipe=recipe.name, title=recipe.title, cite=recipe.cite, seed=recipe.seed,
        data=data, options=options,
        data_identity=identity, steps=records, scores=scores,
        warnings=limits.warnings(planned, records, study),
        versions=versions(), started=started, seconds=time.perf_counter() - start, peak_mib=peak_mib(),
        tables=told.tables, pictures=told.shown.pictures, losses=told.shown.losses, stores=told.stores,
    )  # fmt: skip
    remember(table, record)
    return Done(record, Chain.of(recipe, planned, models.kept, study, data))


def _neighbours_wanted(planned: list[PlannedStep]) -> dict[str, int]:
    """Slot of a space → the most neighbours that a metric asks for."""
    wanted: dict[str, int] = {}
    for step in planned:
        slot = step.reads.get("x", "")
        if step.step.do == "score" and slot:
            wanted[slot] = max(wanted.get(slot, 0), getattr(step.units[0].component, "neighbours", 0))
    return wanted


@dataclass
class Learned:
    """What the steps of a run have learned.

    Parameters
    ----------
    kept
        Index of a step over the study → its model, for the chain.
    by_slot
        Slot → unit → the model of the step that wrote it last, for steps that start from one.
    """

    kept: dict[int, Any] = field(default_factory=dict)
    by_slot: dict[str, dict[str, Any]] = field(default_factory=dict)

    def given(self, planned: PlannedStep, unit: str) -> dict[str, Any]:
        """What a cluster step is given of what was learned: ``encoder``, and ``tuned`` by role."""
        found: dict[str, Any] = {}
        for role, slot in getattr(planned.step, "learns_from", {}).items():
            model = self.by_slot[slot][unit]
            if role == "encoder":
                found[role] = model
            else:
                found.setdefault("tuned", {})[role.partition(".")[2]] = model
        return found


def _run_step(
    planned: PlannedStep, study: Study, models: Learned, seed: int, cache: Cache | None, executor: Executor
) -> tuple[StepRecord, dict[str, Made]]:
    """All units of a step: from the cache where they are, else made; then into the table."""
    start, step = time.perf_counter(), planned.step
    record = StepRecord(
        index=planned.index, do=step.do, use=step.use, to=step.writes, reads=planned.reads,
        params=_params(planned), over=planned.over,
        keys={unit.name: unit.key for unit in planned.units},
        state={unit.name: unit.state for unit in planned.units}, notes=list(planned.notes),
        cite=planned.units[0].component.cite, protocol=planned.protocol,
        gives=str(getattr(planned.units[0].component, "gives", "")),
    )  # fmt: skip
    made = _made(planned, study, models, seed, cache, executor, record)
    if step.do == "annotate":
        put_annotation(study.table, step.writes, made[STUDY].value, step.least_confidence)
    elif step.writes:
        study.write(step.writes, _written(planned, study, made))
    if step.also:
        x = planned.reads["x"]
        study.write(step.also, {unit: one.model.embed(study.array(x, unit)) for unit, one in made.items()})
    if planned.wanted:
        models.by_slot[step.writes] = {unit: one.model for unit, one in made.items()}
    loaded.cache_clear()
    record.seconds = time.perf_counter() - start
    return record, made


def _written(planned: PlannedStep, study: Study, made: dict[str, Made]) -> dict[str, Any]:
    """Unit → value; what was predicted of each fold, by models that never saw it, is put together."""
    values = {unit: one.value for unit, one in made.items()}
    if planned.step.do == "segment":
        return {STUDY: segmenting.together(values)}
    if planned.step.do == "predict":
        folds = folding.folds_of(study, planned.step.held_out)
    elif planned.step.do == "deconvolve" and planned.over == "sample":
        folds = {name: study.rows(name) for name in values}
    else:
        return values
    return {STUDY: folding.together(len(study.rows(STUDY)), folds, values)}


def _made(
    planned: PlannedStep,
    study: Study,
    models: Learned,
    seed: int,
    cache: Cache | None,
    executor: Executor,
    record: StepRecord,
) -> dict[str, Made]:
    """Unit → value, and the model where one is kept."""
    judged = planned.step.do in JUDGING
    units = [unit for unit in planned.units if not (judged and unit.state == "skipped")]
    cached = {
        unit.name: _cached(unit, cache, model=planned.fits(unit.name))
        for unit in units
        if unit.state == "cached"
    }
    made = {name: one for name, one in cached.items() if one is not None}
    todo = [unit for unit in units if unit.name not in made]
    tasks = [_task(planned, unit, study, models, seed) for unit in todo]
    done = executor.map(_Make(cache), tasks) if len(tasks) > 1 else [make(task, cache) for task in tasks]
    for unit, one in zip(todo, done, strict=True):
        made[unit.name] = one
        record.state[unit.name] = "skipped" if unit.state == "skipped" else "made"
    record.worked_s = sum(one.seconds for one in made.values())
    record.notes += list(dict.fromkeys(note for one in made.values() for note in one.notes))
    record.chosen = {name: dict(one.chosen) for name, one in made.items() if one.chosen}
    return {unit.name: made[unit.name] for unit in units}


def _task(planned: PlannedStep, unit: Unit, study: Study, models: Learned, seed: int) -> Task:
    """What is to be computed of a unit."""
    inputs, notes = gathered(study, planned.step, unit.component, planned.reads, unit.name)
    return Task(
        do=planned.step.do, component=unit.component, inputs=inputs, seed=seed, key=unit.key, unit=unit.name,
        keep=planned.fits(unit.name), learned=models.given(planned, unit.name), notes=notes,
    )  # fmt: skip


def _cached(unit: Unit, cache: Cache | None, *, model: bool) -> Made | None:
    """What the cache holds of a unit; None when it is damaged."""
    value = cache.get(unit.key) if cache else None
    if cache is None or value is None:
        return None
    try:
        learned = _restored(unit.component, cache.model(unit.key)) if model else None
    except WeightsError as error:  # e.g. written by another version
        log.warning("the model of cache entry %s is made again: %s", unit.key[:12], error)
        return None
    about = cache.about(unit.key)
    chosen = about.get("chosen", {})
    return Made(value, learned, tuple(about.get("notes", ())), float(about.get("seconds", 0.0)), chosen)


def _restored(component: Any, folder: Path) -> Any:
    """What a component learned; a registrar learns nothing, and what it found is kept."""
    if not hasattr(component, "restore"):
        return registering.FoundShift.load(folder)
    return component.restore(folder)


class _Make:
    """`make` with its cache; a class, because it has to pickle."""

    def __init__(self, cache: Cache | None) -> None:
        self.cache = cache

    def __call__(self, task: Task) -> Made:
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
