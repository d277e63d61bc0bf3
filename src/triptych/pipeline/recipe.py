"""Recipes: a published system as a list of steps in YAML, checked before anything runs.

Every fault is reported with its line, all together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.core.checks import Faults, nearest
from triptych.core.errors import RecipeError, UnknownComponentError
from triptych.pipeline.blocks import Each
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.steps import Encode, Step
from triptych.stains import registry as stains

Where = tuple[str | int, ...]


class Recipe(BaseModel):
    """A named list of steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")
    title: str = ""
    cite: str = ""
    seed: int = Field(default=0, ge=0)
    steps: tuple[Step, ...] = Field(min_length=1)

    def to_yaml(self) -> str:
        """The recipe as it runs; reading it back gives an equal recipe."""
        content = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def shipped() -> dict[str, str]:
    """Name → text of the recipes that come with the package."""
    folder = resources.files("triptych.recipes")
    texts = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): text for name, text in sorted(texts.items())}


def load(recipe: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or path.

    Parameters
    ----------
    recipe
        Name of a shipped recipe, or path of a YAML file.
    changes
        ``TARGET.KEY=VALUE``, see `changed`.

    Raises
    ------
    UnknownComponentError
        When there is no such recipe, component or parameter.
    RecipeError
        When the file is not a recipe; all faults, each with its line.
    """
    from triptych.pipeline.each import sketched

    path, names = Path(recipe), shipped()
    if str(recipe) in names:
        where, text = f"{recipe}.yaml", names[str(recipe)]
    elif path.suffix in {".yaml", ".yml"} and path.is_file():
        where, text = str(path), _text(path)
    else:
        raise UnknownComponentError(
            f"There is no recipe {recipe}, nor a .yaml file of that name.", nearest(str(recipe), names)
        )
    read = parse(text, where, changes)
    sketched(read)  # so that the faults of repeated steps are told before there are data
    return read


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}.") from error


def parse(text: str, where: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe from YAML text; ``where`` opens its messages."""
    faults = Faults(where)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    lines = dict(_lines(node)) if node is not None else {}
    if not isinstance(content, dict):
        raise RecipeError(f"{where} is not a recipe: it holds no mapping with name and steps.")
    for doubled in _doubled(node):
        faults.add(f"line {doubled.start_mark.line + 1}: {doubled.value} is written twice")
    return validated(changed(content, changes), where, lines=lines, faults=faults)


def validated(
    content: Mapping[str, Any],
    where: str,
    *,
    lines: Mapping[Where, int] | None = None,
    faults: Faults | None = None,
) -> Recipe:
    """A recipe from plain values, its components and parameters checked.

    Raises
    ------
    RecipeError
        With every fault.
    UnknownComponentError
        When unknown names are the only faults.
    """
    faults, lines = faults or Faults(where), lines or {}
    recipe = _validated(content, lines, faults)
    if recipe is None:
        faults.raise_if_any(RecipeError)
        raise RecipeError(f"{where} is not a recipe.")
    check_components(recipe, lines, faults)
    faults.raise_if_any(RecipeError)
    return recipe


def _validated(content: Mapping[str, Any], lines: Mapping[Where, int], faults: Faults) -> Recipe | None:
    """The model, or its faults in plain words."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        for fault in error.errors():
            place = tuple(part for part in fault["loc"] if part not in {*BY_VERB, "each"})
            message = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                message = f"unknown key. {nearest(str(place[-1]), _keys(place, content))}"
            elif fault["type"].startswith("union_tag"):
                message = f"no verb, or an unknown one. There is: {', '.join(BY_VERB)}, each."
            elif fault["type"] == "missing":
                message = "is missing"
            faults.add(f"{_place(place, lines)}: {message}")
        return None


def _keys(place: Where, content: Mapping[str, Any]) -> list[str]:
    """The keys that a mapping at ``place`` may have."""
    if len(place) >= 2 and place[0] == "steps":
        verb = content["steps"][place[1]].get("do")
        kinds: tuple[type[BaseModel], ...] = (*_models(), Each)
        models = {model.model_fields["do"].default: model for model in kinds}
        fields = models[verb].model_fields if verb in models else {}
        return [field.alias or name for name, field in fields.items()]
    return list(Recipe.model_fields)


def _models() -> tuple[type[BaseModel], ...]:
    from triptych.pipeline import steps, steps_nuclei

    return (
        steps.Encode, steps.Align, steps.Fuse, steps.Cluster, steps.Refine, steps.Deconvolve, steps.Predict,
        steps_nuclei.Register, steps_nuclei.Annotate, steps_nuclei.Segment, steps.Score, steps.Analyse,
    )  # fmt: skip


def check_components(recipe: Recipe, lines: Mapping[Where, int], faults: Faults) -> None:
    """Find every component and validate its parameters.

    Raises
    ------
    UnknownComponentError
        When unknown names are the recipe's only faults.
    """
    unknown: list[str] = []
    for index, step in enumerate(recipe.steps):
        place = _place(("steps", index), lines)
        if isinstance(step, Each):  # checked when they are written out
            continue
        try:
            BY_VERB[step.do].make(step.use, step.params)
            if isinstance(step, Encode) and step.stain:
                stains.make(step.stain.use, step.stain.params)
        except UnknownComponentError as error:
            unknown.append(f"{place}: {error}")
        except RecipeError as error:
            faults.add(f"{place}: {error}")
    if unknown and not faults.found:
        names = Faults(faults.where)
        names.found = unknown
        names.raise_if_any(UnknownComponentError)
    faults.found += unknown


def changed(content: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Apply ``TARGET.KEY=VALUE`` to a recipe's plain content.

    Parameters
    ----------
    content
        The recipe as read.
    changes
        TARGET is a verb, a component or a step's number from 1; KEY a parameter, or one of the
        step's own keys (``use``, ``over``, ``k_from``, ``to`` …); VALUE is YAML.

    Raises
    ------
    RecipeError
        When a change has another form, or touches no step.
    """
    copy: dict[str, Any] = deepcopy(dict(content))
    for change in changes:
        left, equals, value = change.partition("=")
        target, dot, key = left.partition(".")
        if not equals or not dot or not key:
            raise RecipeError(f"«{change}» is no change.", "Write TARGET.KEY=VALUE, e.g. fuse.window=7.")
        steps = list(_targets(copy.get("steps") or [], target))
        if not steps:
            known = {str(s.get(k)) for s in copy.get("steps") or [] for k in ("do", "use")}
            raise RecipeError(f"«{change}» touches no step.", nearest(target, sorted(known)))
        _change(steps, key, yaml.safe_load(value), change)
    return copy


def _targets(steps: Sequence[Any], target: str, *, numbered: bool = True) -> Iterator[dict[str, Any]]:
    for number, step in enumerate(steps, start=1):
        if not isinstance(step, dict):
            continue
        if target in {str(number) if numbered else "", step.get("do"), step.get("use")}:
            yield step
        if step.get("do") == "each":
            yield from _targets(step.get("steps") or (), target, numbered=False)


def _change(steps: Sequence[dict[str, Any]], key: str, value: Any, change: str) -> None:
    """Set a step's own key, or a parameter of those components that have it."""
    own = {f.alias or n for model in _models() for n, f in model.model_fields.items()} - {"with", "do"}
    if key in own:
        for step in steps:
            step[key] = value
        return
    able = [s for s in steps if key in _parameters(s)]
    if not able:
        known = sorted({name for step in steps for name in _parameters(step)})
        raise UnknownComponentError(f"«{change}»: no such parameter.", nearest(key, known))
    for step in able:
        step["with"] = {**(step.get("with") or {}), key: value}


def _parameters(step: Mapping[str, Any]) -> list[str]:
    registry = BY_VERB.get(str(step.get("do")))
    if registry is None:
        return []
    return list(getattr(registry.find(str(step.get("use"))), "__dataclass_fields__", {}))


def _lines(node: yaml.Node, path: Where = ()) -> Iterator[tuple[Where, int]]:
    """Every place in the document with its line, from 1."""
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*path, key.value))
            yield (*path, key.value), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*path, index))


def _doubled(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Keys that a mapping holds twice; YAML would keep the last in silence."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _doubled(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _doubled(item)


def _place(path: Where, lines: Mapping[Where, int]) -> str:
    """A place in words: ``line 7, steps.3.with.k``."""
    known = path
    while known and known not in lines:
        known = known[:-1]
    name = ".".join(str(p + 1) if isinstance(p, int) else p for p in path)
    return f"line {lines[known]}, {name}" if known in lines and name else name or "the recipe"
