"""Repeated steps, written out: for names, or for every view that the data hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from pydantic import ValidationError

from triptych.core import slots
from triptych.core.errors import DataError, RecipeError
from triptych.pipeline.blocks import Each
from triptych.pipeline.recipe import Recipe, validated
from triptych.pipeline.study import Study

MAPS: Final = "X_map."  # spaces that are there to be drawn
ANY: Final = "obsm:X_view"  # stands for a view while there are no data


def bound(recipe: Recipe, study: Study) -> Recipe:
    """A recipe with its repeated steps written out for the views of a study.

    Parameters
    ----------
    recipe
        Any; one without repeated steps comes back as it is.
    study
        Whose table holds the views.

    Raises
    ------
    DataError
        When the table holds no such view.
    RecipeError
        When what comes out is no valid recipe.
    """
    written = {slot for step in recipe.steps for slot in (step.writes, step.also)}
    views = {pattern: held(pattern, study, written) for pattern in patterns(recipe)}
    for pattern, found in views.items():
        if not found:
            raise DataError(
                f"{recipe.name} judges each view that the data hold ({pattern}), and they hold none.",
                "Put embeddings into obsm as X_NAME, or give the table.h5ad of a run that made some, "
                "e.g. of vste-2.",
            )
    return written_out(recipe, views)


def sketched(recipe: Recipe) -> Recipe:
    """A recipe with its repeated steps written out once, for a view that stands for any.

    Raises
    ------
    RecipeError
        With every fault of these steps.
    """
    return written_out(recipe, {pattern: [ANY] for pattern in patterns(recipe)})


def patterns(recipe: Recipe) -> list[str]:
    """The patterns of views that repeated steps of a recipe are repeated for."""
    blocks = [step.model_dump() for step in recipe.steps if isinstance(step, Each)]
    return list(dict.fromkeys(_patterns(blocks)))


def _patterns(steps: Iterable[Any]) -> Iterator[str]:
    for step in steps:
        if step.get("do") == "each":
            yield from filter(None, [step.get("views", "")])
            yield from _patterns(step["steps"])


def held(pattern: str, study: Study, written: set[str]) -> list[str]:
    """The slots of a table that a pattern means: no places, no maps, nothing that the recipe writes itself.

    Parameters
    ----------
    pattern
        Such as ``obsm:X_*``.
    study
        What holds them.
    written
        By the recipe.
    """
    keys = sorted(str(key) for key in study.table.obsm if not str(key).startswith(MAPS))
    found = [f"obsm:{key}" for key in keys if fnmatchcase(f"obsm:{key}", pattern)]
    return [slot for slot in found if slot not in {*written, slots.SPATIAL, slots.SPATIAL_UM}]


def written_out(recipe: Recipe, views: Mapping[str, Sequence[str]]) -> Recipe:
    """The recipe with each block of repeated steps replaced by its steps, once for each view.

    Parameters
    ----------
    recipe
        With or without blocks.
    views
        Pattern of a block → slots.

    Raises
    ------
    RecipeError
        With every fault of the steps.
    """
    if not any(isinstance(step, Each) for step in recipe.steps):
        return recipe
    names = short_names([slot for found in views.values() for slot in found])
    content = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    steps = list(_plain(content["steps"], views, names, f"recipe {recipe.name}"))
    return validated({**content, "steps": steps}, f"recipe {recipe.name}")


def _plain(
    steps: Iterable[Any], views: Mapping[str, Sequence[str]], names: Mapping[str, str], where: str
) -> Iterator[Any]:
    """Steps with every block among them written out, blocks in blocks too."""
    for step in steps:
        if step.get("do") != "each":
            yield step
            continue
        try:
            block = Each.model_validate(step)
        except ValidationError as error:
            fault = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise RecipeError(f"{where}: a block of repeated steps is wrong: {fault}.") from error
        given = [{"$slot": slot, "$view": names[slot]} for slot in views.get(block.views, ())]
        for words in given or [{f"${block.called}": name} for name in block.of]:
            yield from _plain((filled(one, words) for one in block.steps), views, names, where)


def short_names(views: Sequence[str]) -> dict[str, str]:
    """Slot → a name of small letters, digits and dashes: of the last part of its key, or all of it.

    Parameters
    ----------
    views
        Slots, e.g. ``obsm:X_img.ls2_stain``, which becomes ``ls2-stain``.
    """
    keys = {slot: slot.partition(":")[2].removeprefix("X_") for slot in dict.fromkeys(views)}
    names = {slot: _slug(key.partition(".")[2] or key) for slot, key in keys.items()}
    if len(set(names.values())) < len(names):
        names = {slot: _slug(key) for slot, key in keys.items()}
    if len(set(names.values())) < len(names):
        names = {slot: f"{name}-{place}" for place, (slot, name) in enumerate(names.items(), start=1)}
    return names


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "view"


def filled(value: Any, words: Mapping[str, str]) -> Any:
    """Plain values with words put in.

    Parameters
    ----------
    value
        Of YAML.
    words
        What is written, e.g. ``$slot``, and what it stands for.
    """
    if isinstance(value, str):
        for written, meant in words.items():
            value = value.replace(written, meant)
        return value
    if isinstance(value, dict):
        return {key: filled(one, words) for key, one in value.items()}
    return [filled(one, words) for one in value] if isinstance(value, list | tuple) else value
