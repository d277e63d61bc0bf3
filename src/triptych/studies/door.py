"""What is checked of a study before anything runs, so that hours of work do not end in a misspelt word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triptych.core import slots
from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import RecipeError
from triptych.core.slots import Slot
from triptych.metrics import registry as metrics
from triptych.pipeline.each import patterns
from triptych.pipeline.recipe import Recipe
from triptych.studies.design import Design, candidates
from triptych.studies.execute import ELSEWHERE, result_of, target_of
from triptych.studies.summary import OF_RUNS


def check(design: Design, recipes: Mapping[str, Recipe]) -> None:
    """Check that every arm ends in labels, that metrics exist, and that the grid has a place.

    Parameters
    ----------
    design
        The study.
    recipes
        Arm → recipe.

    Raises
    ------
    RecipeError
        With every fault.
    """
    faults = Faults(f"study {design.name}")
    without = [name for name, recipe in recipes.items() if not result_of(recipe)]
    faults.check(
        not without, f"{listing(without)} writes no labels and no cell types: add a step cluster or predict."
    )
    repeated = [name for name, recipe in recipes.items() if patterns(recipe)]
    faults.check(
        not repeated, f"{listing(repeated)} repeats steps for each view: that is for run, not for compare."
    )
    name = design.metric.partition("@")[0].partition(":")[0]
    faults.check(name in metrics, f"metric: there is no {name}. {nearest(name, metrics)}")
    judged = not design.metric.endswith(ELSEWHERE) or bool(design.other[0])
    faults.check(judged, "it judges on other data, and none are named: --set elsewhere=PATH.")
    _check_tables(design, recipes, faults)
    if design.nested is not None:
        by = design.judged_by(design.nested)
        faults.check(by in {"donor", "sample"}, f"nested.by: {by} is neither donor nor sample.")
        for target, values in design.nested.grid.items():
            placed = any(_placed(recipe, target, values) for recipe in recipes.values())
            faults.check(placed, f"nested.grid: {target} has a place in no arm.")
        few, asked = len(design.seeds), design.nested.tuning_seeds
        faults.check(asked <= few, f"nested.tuning_seeds: {asked} of {few} seeds.")
    faults.raise_if_any(RecipeError)


def _check_tables(design: Design, recipes: Mapping[str, Recipe], faults: Faults) -> None:
    """Every metric of a table exists, and a step scores it."""
    scored = {_called(s, recipe) for recipe in recipes.values() for s in recipe.steps if s.do == "score"}
    for name, table in design.tables.items():
        for metric in table.metrics:
            if metric.partition("@")[0] in OF_RUNS:
                continue
            exists = metric.partition("@")[0].partition(":")[0] in metrics
            if faults.check(
                exists, f"tables.{name}: there is no metric {metric}. {nearest(metric, metrics)}"
            ):
                hint = f"There is: {listing(sorted(scored))}."
                faults.check(
                    metric.partition("@")[0] in scored,
                    f"tables.{name}: {metric} is scored by no step. {hint}",
                )


def _called(step: Any, recipe: Recipe) -> str:
    """The name of the metric that a score step gives."""
    if step.organs != "all":
        return f"{step.use}:{step.organs}"
    plain = step.x or step.truth in {slots.TRUTH, slots.ABUNDANCE, target_of(recipe.steps, step.guess)}
    return str(step.use) if plain else f"{step.use}:{Slot.parse(step.truth).key}"


def _placed(recipe: Recipe, target: str, values: tuple[object, ...]) -> bool:
    return any(target in settings for settings, _ in candidates(recipe, {target: values}))
