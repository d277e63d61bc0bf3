"""Settings of a study: names with a value, for which ``$name`` stands in its steps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import RecipeError

NAME: Final = r"[a-z][a-z0-9_]*"
WHOLE: Final = re.compile(rf"\$({NAME})")
KINDS: Final[dict[type, tuple[tuple[type, ...], str]]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    list: ((list,), "a list"),
    dict: ((dict,), "a mapping"),
}


def named(value: Any) -> Iterator[str]:
    """Every name that stands in a value as ``$name``, however deep."""
    if isinstance(value, str):
        if whole := WHOLE.fullmatch(value):
            yield whole.group(1)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from named(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from named(part)


def filled(value: Any, settings: Mapping[str, Any]) -> Any:
    """The value with each ``$name`` that is a whole text replaced by the setting, whatever its kind."""
    if isinstance(value, str):
        whole = WHOLE.fullmatch(value)
        return settings.get(whole.group(1), value) if whole else value
    if isinstance(value, Mapping):
        return {key: filled(part, settings) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [filled(part, settings) for part in value]
    return value


def told(text: str, settings: Mapping[str, Any]) -> str:
    """A sentence with ``$name`` replaced wherever it stands."""
    return WHOLE.sub(lambda found: str(settings.get(found.group(1), found.group())), text)


def changed_settings(settings: Mapping[str, Any], changes: Sequence[str], where: str) -> dict[str, Any]:
    """Settings with some of them changed.

    Parameters
    ----------
    settings
        Name → value, as the study says.
    changes
        ``NAME=VALUE``; VALUE is YAML, or the text itself where the study's value is a text.
    where
        Opens the message.

    Raises
    ------
    RecipeError
        When there is no such setting, or the value is of another kind; all faults together.
    """
    found, faults = dict(settings), Faults(where)
    for change in changes:
        name, equals, text = change.partition("=")
        if "." in name or not equals:
            exist = f" Its settings: {listing(settings)}." if settings else " This one has no settings."
            faults.add(f"«{change}»: A study says itself what changes, but for its settings.{exist}")
        elif name not in settings:
            hint = nearest(name, settings) if settings else "This study has none."
            faults.add(f"«{change}»: there is no setting {name}. {hint}")
        else:
            found[name] = _read(settings[name], text, change, faults)
    faults.raise_if_any(RecipeError, "Write NAME=VALUE, or edit a copy of the study's file.")
    return found


def _read(before: Any, text: str, change: str, faults: Faults) -> Any:
    """A value of the same kind as the one before."""
    if isinstance(before, str):
        return text
    kinds, words = KINDS.get(type(before), ((object,), "a value"))
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    faults.check(fits, f"«{change}»: it is {words}, such as {before}.")
    return value
