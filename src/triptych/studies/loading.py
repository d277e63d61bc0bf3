"""Studies by name or file, or made of recipes side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import RecipeError, UnknownComponentError
from triptych.pipeline.recipe import load, shipped
from triptych.pipeline.steps import KFrom
from triptych.studies.design import Arm, Design
from triptych.studies.factors import JOIN, Level, Table
from triptych.studies.settings import changed_settings


def shipped_studies() -> dict[str, str]:
    """Name → text of the studies that come with the package."""
    folder = resources.files("triptych.studies") / "designs"
    texts = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): text for name, text in sorted(texts.items())}


def titles() -> Iterator[tuple[str, str]]:
    """Name and title of every shipped study."""
    for name, text in shipped_studies().items():
        yield name, str(yaml.safe_load(text).get("title", ""))


def study_text(name: str) -> str:
    """The text of a shipped study.

    Raises
    ------
    UnknownComponentError
        When there is none of that name.
    """
    texts = shipped_studies()
    if name not in texts:
        raise UnknownComponentError(f"There is no study {name}.", nearest(name, texts))
    return texts[name].rstrip()


def load_design(names: Sequence[str], changes: Sequence[str] = ()) -> Design:
    """A study from one name or file of a study, or from several recipes.

    Parameters
    ----------
    names
        One study (shipped, or a YAML file with ``arms``, ``factors`` or ``tables``), or recipes.
    changes
        ``TARGET.KEY=VALUE``, made to every recipe; ``NAME=VALUE`` for a setting of a study.

    Raises
    ------
    RecipeError
        When a file is no study, or a study is mixed with others.
    UnknownComponentError
        When there is no study or recipe of a name.
    """
    texts = {name: _text(name) for name in names}
    studies = [name for name, text in texts.items() if text is not None]
    if studies and len(names) > 1:
        raise RecipeError(f"{studies[0]} is a study of its own.", "Compare one study, or several recipes.")
    if studies:
        return parse_design(str(texts[studies[0]]), studies[0], changes)
    fitting = _fitting(names, changes)
    stems = [Path(name).stem for name in names]
    if len(set(stems)) < len(stems):
        twice = listing(dict.fromkeys(stem for stem in stems if stems.count(stem) > 1))
        raise RecipeError(f"Arms are named after their files, and {twice} is there twice.", "Rename one.")
    arms = {
        s: Arm.model_validate({"recipe": n, "set": fitting[n]}) for s, n in zip(stems, names, strict=True)
    }
    return Design(name="comparison", title=JOIN.join(arms), arms=arms)


def _fitting(names: Sequence[str], changes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Recipe → the changes that it has a place for; each change must find one somewhere."""
    fitting: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for change in changes:
        refused: list[RecipeError | UnknownComponentError] = []
        for name in names:
            try:
                load(name, [*fitting[name], change])
                fitting[name] = (*fitting[name], change)
            except (RecipeError, UnknownComponentError) as error:
                refused.append(error)
        if len(refused) == len(names):
            raise refused[0]
    return fitting


def with_options(design: Design, *, seeds: int = 0, k_from: str = "") -> Design:
    """A study with other seeds and ways to choose K.

    Parameters
    ----------
    design
        The study.
    seeds
        How many, from 0; 0 leaves the study's own.
    k_from
        Names with commas; empty leaves the study's own.

    Raises
    ------
    RecipeError
        When there is no such way.
    """
    chosen: dict[str, Any] = {"seeds": tuple(range(seeds))} if seeds else {}
    if k_from:
        names = tuple(dict.fromkeys(name.strip() for name in k_from.split(",") if name.strip()))
        wrong = [name for name in names if name not in get_args(KFrom)]
        if wrong or not names:
            raise RecipeError(
                f"There is no way «{k_from}» to choose K.", f"There is: {', '.join(get_args(KFrom))}."
            )
        chosen["k_from"] = names
    return design.model_copy(update=chosen)


def _text(name: str) -> str | None:
    """The text of a study; None for a recipe."""
    studies, path = shipped_studies(), Path(name)
    if name in studies:
        return studies[name]
    if name in shipped():
        return None
    if path.suffix not in {".yaml", ".yml"} or not path.is_file():
        raise UnknownComponentError(
            f"There is no study or recipe {name}, nor a .yaml file of that name.",
            nearest(name, [*studies, *shipped()]),
        )
    try:
        text = path.read_text("utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return text if isinstance(content, dict) and {"arms", "factors", "tables"} & set(content) else None


def parse_design(text: str, where: str, changes: Sequence[str] = ()) -> Design:
    """A study from YAML text, with some of its settings changed.

    Raises
    ------
    RecipeError
        With every fault.
    """
    content, faults = yaml.safe_load(text), Faults(where)
    if changes and isinstance(content, dict):
        settings = content.get("settings")
        known = settings if isinstance(settings, dict) else {}
        content = {**content, "settings": changed_settings(known, changes, where)}
    try:
        design = Design.model_validate(content)
    except ValidationError as error:
        for fault in error.errors():
            place = ".".join(str(part) for part in fault["loc"])
            message = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                message = f"unknown key. {nearest(str(fault['loc'][-1]), _keys(fault['loc']))}"
            faults.add(f"{place or 'the study'}: {message}")
        faults.raise_if_any(RecipeError)
        raise
    kinds = [bool(design.arms), bool(design.factors), bool(design.tables)]
    faults.check(sum(kinds) == 1, "give arms, factors or tables, one of the three")
    faults.raise_if_any(RecipeError)
    recipes = design.recipes(where)
    if design.reference and design.reference not in recipes:
        raise RecipeError(f"{where}: there is no arm {design.reference}.", nearest(design.reference, recipes))
    return design


def _keys(place: tuple[str | int, ...]) -> list[str]:
    """The keys that a mapping of a study may have, by the place of one that it may not."""
    inside = place[2:] if place[0] == "tables" else place
    if place[0] == "tables" and len(inside) == 1:
        return list(Table.model_fields)
    model = Level if inside[0] == "factors" and len(inside) > 1 else Design
    return [field.alias or name for name, field in model.model_fields.items()]
