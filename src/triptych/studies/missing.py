"""Arms that cannot run on this machine with these data, found before anything runs and named once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from triptych.core import extras, slots
from triptych.core.checks import listing
from triptych.core.errors import MissingSlotError, TriptychError
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.study import Study
from triptych.pipeline.wiring import reads_of
from triptych.stains import registry as stains
from triptych.studies.design import Design
from triptych.studies.execute import pruned
from triptych.studies.failures import ABSENT

Levels = Mapping[str, Mapping[str, str]]


class Present(NamedTuple):
    """The arms that can run, and why the others cannot."""

    recipes: dict[str, Recipe]
    notes: list[str]


class Asked:
    """Answers of components about their weights and packages, each asked for once.

    A hub that cannot be reached keeps one waiting: once for a component, not once for an arm.
    """

    def __init__(self) -> None:
        self._answers: dict[str, TriptychError | None] = {}

    def fault(self, step: Any, component: Any) -> TriptychError | None:
        """What keeps a component from loading; None when nothing does."""
        stain = getattr(step, "stain", None)
        key = json.dumps([step.do, step.use, step.params, stain and stain.use], sort_keys=True, default=str)
        if key not in self._answers:
            self._answers[key] = _fault(component, stain and stains.make(stain.use, stain.params))
        return self._answers[key]


def _fault(component: Any, stain: Any) -> TriptychError | None:
    try:
        extras.check([component, stain])
        if hasattr(component, "fingerprint"):
            component.fingerprint()
    except ABSENT as error:
        return error
    return None


def present(design: Design, recipes: Mapping[str, Recipe], study: Study) -> Present:
    """Leave out the arms that no table keeps and, where the study says so, those that lack something.

    What may be lacking are data, weights and packages.

    Parameters
    ----------
    design
        The study.
    recipes
        Arm → recipe.
    study
        The data.

    Raises
    ------
    TriptychError
        The first reason, when no arm is left.
    """
    asked, faults = Asked(), {}
    for arm, recipe in recipes.items() if design.leave_out_missing else ():
        fault = fault_of(pruned(recipe), study, asked)
        if fault is not None:
            faults[arm] = fault
    able = [arm for arm in recipes if arm not in faults]
    if not able:
        raise next(iter(faults.values()))
    kept = wanted(design, able)
    return Present({arm: recipes[arm] for arm in able if arm in kept}, notes(faults, design.levels()))


def wanted(design: Design, able: Iterable[str]) -> set[str]:
    """Of the arms that can run, those that some table keeps; all of them where there are no tables."""
    if not design.tables:
        return set(able)
    kept: set[str] = set()
    for table in design.tables.values():
        arms = table.arms(design.settings)
        kept |= table.among({arm: arms[arm] for arm in able if arm in arms})
    return kept


def fault_of(recipe: Recipe, study: Study, asked: Asked) -> TriptychError | None:
    """The first thing that a recipe reads or loads and that is not there; None when all is."""
    written: set[str] = set()
    for step in recipe.steps:
        component = BY_VERB[step.do].make(step.use, step.params)
        for slot in reads_of(step, component).values():
            if slot in written or (slot == slots.TRUTH and step.do in {"score", "analyse"}):
                continue
            try:
                study.require(slot)
            except MissingSlotError as error:
                return error
        fault = asked.fault(step, component)
        if fault is not None:
            return fault
        written |= {step.writes, step.also}
    return None


def notes(faults: Mapping[str, TriptychError], levels: Levels) -> list[str]:
    """One sentence for each reason, with the levels that it takes away, or the arms."""
    grouped: dict[str, list[str]] = {}
    for arm, fault in faults.items():
        grouped.setdefault(" ".join(str(fault).split()), []).append(arm)
    found = []
    for message, arms in grouped.items():
        others = {arm: one for arm, one in levels.items() if arm not in faults or arm in arms}
        found.append(f"Left out: {_what(arms, others)}: {message}")
    return found


def _what(arms: list[str], levels: Levels) -> str:
    """The levels of one factor that these arms, and no others, have; else the arms."""
    for factor in dict.fromkeys(name for arm in arms for name in levels.get(arm, {})):
        mine = dict.fromkeys(levels[arm].get(factor, "") for arm in arms)
        if {arm for arm, one in levels.items() if one.get(factor) in mine} == set(arms):
            return _counted(mine, arms)
    return listing(arms)


def _counted(names: Iterable[str], arms: list[str]) -> str:
    return f"{listing(names)} ({len(arms)} arm{'s' if len(arms) > 1 else ''})"
