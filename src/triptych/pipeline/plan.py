"""Plans: what would run, on what, and what is already in the cache; known before anything runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from triptych.aligners.none import Unaligned
from triptych.core import slots
from triptych.core.errors import DataError, RecipeError
from triptych.pipeline import identity
from triptych.pipeline.cache import Cache
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.wiring import check, over_of, reads_of


@dataclass(frozen=True)
class Unit:
    """One component on one sample, or on the study.

    Parameters
    ----------
    name
        A sample, or ``study``.
    component
        Ready to use.
    key
        Identity of what it makes.
    state
        ``run``, ``cached`` or ``skipped``.
    """

    name: str
    component: Any
    key: str
    state: str


@dataclass(frozen=True)
class PlannedStep:
    """A step with its units.

    Parameters
    ----------
    index
        From 1.
    step
        Of the recipe.
    reads
        Role → slot.
    over
        ``sample`` or ``study``.
    units
        In the order of the samples.
    notes
        What the user should know.
    oracle
        Whether k of these labels was taken from the truth.
    """

    index: int
    step: Any
    reads: dict[str, str]
    over: str
    units: tuple[Unit, ...]
    notes: tuple[str, ...] = ()
    oracle: bool = False


@dataclass
class _Ledger:
    """What has been written so far, with its identities and whether it rests on oracle k."""

    study: Study
    written: dict[str, dict[str, str]] = field(default_factory=dict)
    oracle: set[str] = field(default_factory=set)

    def identity(self, slot: str, unit: str) -> str:
        if slot not in self.written:
            return self.study.digest(slot, unit)
        keys = self.written[slot]
        if unit in keys:
            return keys[unit]
        if unit == STUDY:
            return identity.of_json([[name, keys[name]] for name in self.study.samples])
        return f"{keys[STUDY]}/{unit}"


def plan(
    recipe: Recipe, study: Study, cache: Cache | None = None, *, per_sample: bool = False
) -> list[PlannedStep]:
    """Bind a recipe to data.

    Parameters
    ----------
    recipe
        Its components are known to be valid.
    study
        The data.
    cache
        Where finished steps lie; None: nothing is cached.
    per_sample
        Treat each sample as a study of its own.

    Raises
    ------
    RecipeError
        When a slot is read that nothing writes, or k is asked of a component that has none.
    MissingSlotError
        When the data lack what a step reads.
    DataError
        When k exceeds the number of observations.
    """
    check(recipe, study.has)
    ledger, planned = _Ledger(study), []
    for index, step in enumerate(recipe.steps, start=1):
        component = BY_VERB[step.do].make(step.use, step.params)
        reads = reads_of(step, component)
        for slot in reads.values():
            if slot not in ledger.written and not (step.do == "score" and slot == slots.TRUTH):
                study.require(slot)
        over = over_of(step, component, per_sample=per_sample)
        names = study.samples if over == "sample" else (STUDY,)
        made = [_unit(ledger, recipe, step, component, name) for name in names]
        units = tuple(_looked_up(unit, cache) for unit, _, _ in made)
        notes = tuple(dict.fromkeys(note for _, found, _ in made for note in found))
        oracle = any(own for _, _, own in made) or bool(ledger.oracle & set(reads.values()))
        planned.append(PlannedStep(index, step, reads, over, units, notes, oracle))
        if step.writes:
            ledger.written[step.writes] = {unit.name: unit.key for unit in units}
            ledger.oracle.discard(step.writes)
            if oracle:
                ledger.oracle.add(step.writes)
    return planned


def _unit(
    ledger: _Ledger, recipe: Recipe, step: Any, component: Any, name: str
) -> tuple[Unit, list[str], bool]:
    """One unit, the notes on it, and whether its k comes from the truth."""
    study, notes, oracle, state = ledger.study, [], False, "run"
    reads = reads_of(step, component)
    if step.do == "align" and len(study.codes(reads["batch"], name)[1]) < 2:
        notes.append(f"{step.use} was skipped: {_named(name, study)} has one batch, nothing to align.")
        component, state = Unaligned(), "skipped"
    if step.do == "cluster":
        component, oracle, note = _with_k(study, step, component, name)
        notes += [note] if note else []
    if step.do == "score" and slots.TRUTH in reads.values() and not _labelled(study, reads["truth"], name):
        return Unit(name, component, "", "skipped"), notes, False
    inputs = [(role, ledger.identity(slot, name)) for role, slot in reads.items()]
    seed = recipe.seed if component.random or step.do == "score" else None
    about = (step.do, type(component).__qualname__, component.revision)
    return (
        Unit(name, component, identity.of_step(about, asdict(component), inputs, seed), state),
        notes,
        oracle,
    )


def _named(unit: str, study: Study) -> str:
    return f"sample {unit}" if unit != STUDY else f"the study of {len(study.samples)} sample(s)"


def _labelled(study: Study, slot: str, unit: str) -> bool:
    return study.has(slot) and bool((study.codes(slot, unit)[0] >= 0).any())


def _with_k(study: Study, step: Any, component: Any, unit: str) -> tuple[Any, bool, str]:
    """The clusterer with k taken from the truth, where that is asked for and there are labels."""
    note, oracle = "", False
    if step.oracle_k and not hasattr(component, "k"):
        raise RecipeError(f"{step.use} has no k.", "Leave oracle_k out.")
    if step.oracle_k and _labelled(study, slots.TRUTH, unit):
        component = replace(component, k=len(study.codes(slots.TRUTH, unit)[1]))
        oracle = True
    elif step.oracle_k:
        note = (
            f"{_named(unit, study)} has no known labels: k = {component.k} is the recipe's own.".capitalize()
        )
    n = len(study.rows(unit))
    if getattr(component, "k", 0) > n:
        raise DataError(f"k = {component.k} is larger than the {n} observations of {_named(unit, study)}.")
    return component, oracle, note


def _looked_up(unit: Unit, cache: Cache | None) -> Unit:
    known = cache is not None and unit.state == "run" and cache.has(unit.key)
    return replace(unit, state="cached") if known else unit
