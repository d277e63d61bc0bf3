"""Factors, their levels, and tables: products of factors that are shown as a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from triptych.core.checks import nearest
from triptych.studies.settings import filled

JOIN = " · "


class Level(BaseModel):
    """One level of a factor: steps that it adds, and changes that it makes to the whole recipe.

    ``needs`` are settings without which, when they are empty, there is no such level.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    steps: tuple[dict[str, Any], ...] = ()
    changes: tuple[str, ...] = Field(default=(), alias="set")
    needs: tuple[str, ...] = ()


def _listed(value: Any) -> Any:
    """A level that is a list is its steps."""
    if not isinstance(value, Mapping):
        return value
    return {factor: _by_name(levels) for factor, levels in value.items()}


def _by_name(levels: Any) -> Any:
    if not isinstance(levels, Mapping):
        return levels
    return {name: {"steps": one} if isinstance(one, list) else one for name, one in levels.items()}


Factors = Annotated[dict[str, Annotated[dict[str, Level], Field(min_length=1)]], BeforeValidator(_listed)]


class Table(BaseModel):
    """A product of factors, shown as a grid.

    The levels of the factor ``columns`` stand side by side, those of ``rows`` (the others, unless another
    order is given) down, for each of the ``metrics``. ``leave_out`` holds levels that do not go together.
    ``against`` is the level of ``columns`` that the others are compared with, the first by default. Of the
    factor ``first`` only the first level that these data have is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    note: str = ""
    factors: Factors = Field(min_length=1)
    columns: str
    rows: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    leave_out: tuple[tuple[str, ...], ...] = ()
    against: str = ""
    first: str = ""

    @model_validator(mode="after")
    def _names(self) -> Table:
        """Every name is of a factor or a level."""
        faults, levels = [], {level for levels in self.factors.values() for level in levels}
        columns, others = self.columns, [name for name in self.factors if name != self.columns]
        if columns not in self.factors:
            faults.append(f"columns: there is no factor {columns}. {nearest(columns, self.factors)}")
        elif self.against and self.against not in self.factors[columns]:
            hint = nearest(self.against, self.factors[columns])
            faults.append(f"against: {columns} has no level {self.against}. {hint}")
        if self.first and self.first not in self.factors:
            faults.append(f"first: there is no factor {self.first}. {nearest(self.first, self.factors)}")
        if self.rows and sorted(self.rows) != sorted(others):
            faults.append(f"rows: name each factor but columns once: {', '.join(others)}.")
        faults += [
            f"leave_out: there is no level {level}. {nearest(level, levels)}"
            for together in self.leave_out
            for level in together
            if level not in levels
        ]
        if faults:
            raise ValueError(" ".join(faults))
        return self

    @property
    def down(self) -> tuple[str, ...]:
        """The factors whose levels name the rows."""
        return self.rows or tuple(name for name in self.factors if name != self.columns)

    def arms(self, settings: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        """Arm → factor → level, of the levels that there are with these settings."""
        levels = {name: distinct(factor, settings) for name, factor in self.factors.items()}
        return {arm: one for arm, one in crossed(levels).items() if not self._left_out(one)}

    def _left_out(self, chosen: Mapping[str, str]) -> bool:
        return any(set(together) <= set(chosen.values()) for together in self.leave_out)

    def among(self, arms: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Of arms that can run, those that the table keeps: of ``first`` the first level that any has."""
        if not self.first:
            return set(arms)
        level = next((n for n in self.factors[self.first] if n in {a[self.first] for a in arms.values()}), "")
        return {name for name, arm in arms.items() if arm[self.first] == level}

    def plain(self, arm: Mapping[str, str], arms: Mapping[str, Mapping[str, str]]) -> str:
        """The arm that one is held against: the same but for its column; empty when there is none."""
        column = self.against or next(iter(self.factors[self.columns]))
        wanted = {**arm, self.columns: column}
        return next((name for name, one in arms.items() if one == wanted), "")


def crossed(levels: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Every combination of levels, named after them."""
    return {JOIN.join(chosen): dict(zip(levels, chosen, strict=True)) for chosen in product(*levels.values())}


def distinct(factor: Mapping[str, Level], settings: Mapping[str, Any]) -> list[str]:
    """The levels that there are: what they need is given, and no earlier one has the same steps."""
    return [name for name, why in judged(factor, settings) if not why]


def judged(factor: Mapping[str, Level], settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each level, and why it is left out; empty for one that is not."""
    seen: list[tuple[str, Any]] = []
    for name, level in factor.items():
        empty = [need for need in level.needs if settings.get(need) in ("", None)]
        content = filled([list(level.steps), list(level.changes)], settings)
        same = next((other for other, one in seen if one == content), "")
        if empty:
            yield name, f"the setting {empty[0]} is empty; give it with --set {empty[0]}=…"
        elif same:
            yield name, f"with these settings it is the same as {same}"
        else:
            seen.append((name, content))
            yield name, ""
