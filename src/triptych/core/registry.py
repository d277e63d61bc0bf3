"""Registries: a room's table of contents, open to third parties through entry points.

Listing imports nothing. ``make`` checks names, validates values and builds the component.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from triptych.core.checks import Faults, nearest
from triptych.core.errors import NameClashError, RecipeError, UnknownComponentError


class Registry:
    """Names of one room → components.

    Parameters
    ----------
    room
        Plural noun, e.g. ``aligners``; third parties join through the entry-point group ``triptych.<room>``.
    protocols
        The protocols of which a component must satisfy one.
    table
        Name → ``module:Class``.
    """

    def __init__(self, room: str, protocols: tuple[type, ...], table: Mapping[str, str]) -> None:
        self.room = room
        self.protocols = protocols
        self.table = dict(table)

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """Every name with where it is found, built-in and third-party.

        Raises
        ------
        NameClashError
            When two packages, or a package and triptych, use one name.
        """
        group = f"triptych.{self.room}"
        found = {name: EntryPoint(name, value, group) for name, value in self.table.items()}
        for point in entry_points(group=group):
            if point.name in found and found[point.name].value != point.value:
                raise NameClashError(
                    f"Two {self.room} are called {point.name}: {found[point.name].value} and {point.value}.",
                    "Uninstall one of the packages, or rename its entry point.",
                )
            found[point.name] = point
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.entries))

    def find(self, name: str) -> type:
        """The class of that name.

        Raises
        ------
        UnknownComponentError
            With the nearest spelling.
        """
        if name not in self.entries:
            raise UnknownComponentError(f"There is no {name} among the {self.room}.", nearest(name, self))
        component = self.entries[name].load()
        if not isinstance(component, type):
            raise RecipeError(f"The entry point {self.entries[name].value} is not a class.")
        return component

    def make(self, name: str, params: Mapping[str, Any] | None = None) -> Any:
        """Build a component from plain values.

        Parameters
        ----------
        name
            A registered name.
        params
            Values of its fields, e.g. as read from YAML.

        Raises
        ------
        UnknownComponentError
            When the name or a parameter does not exist; the nearest spelling is given.
        RecipeError
            When a value has the wrong type or is out of range; all faults together.
        """
        cls, params = self.find(name), dict(params or {})
        known = [field.name for field in fields(cls)]
        unknown = [key for key in params if key not in known]
        if unknown:
            raise UnknownComponentError(
                f"{name} has no parameter {', '.join(unknown)}.", nearest(unknown[0], known)
            )
        try:
            component: Any = TypeAdapter(cls).validate_python(params)
        except ValidationError as error:
            faults = Faults(f"parameters of {name}")
            for fault in error.errors():
                place = ".".join(str(part) for part in fault["loc"])
                faults.add(f"{place or name}: {_plain(fault)}")
            faults.raise_if_any(RecipeError)
            raise
        if not isinstance(component, self.protocols):
            wanted = " or ".join(protocol.__name__ for protocol in self.protocols)
            raise RecipeError(f"{self.entries[name].value} is not one of the {self.room}: it is no {wanted}.")
        return component


def _plain(fault: Mapping[str, Any]) -> str:
    """Pydantic's words without its type codes."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{message}, got {fault['input']!r}" if not isinstance(fault["input"], dict) else message
