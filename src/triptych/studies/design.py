"""What a study compares: arms, seeds, ways to choose K, and how donors are split; read from YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from triptych.core.checks import Faults
from triptych.core.errors import RecipeError, UnknownComponentError
from triptych.pipeline.recipe import Recipe, changed, load, validated
from triptych.pipeline.steps import KFrom

JOIN = " · "


class Level(BaseModel):
    """One level of a factor: steps that it adds, and changes that it makes to the whole recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    steps: tuple[dict[str, Any], ...] = ()
    changes: tuple[str, ...] = Field(default=(), alias="set")


class Arm(BaseModel):
    """A recipe by name or path, with changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    recipe: str
    changes: tuple[str, ...] = Field(default=(), alias="set")


class Composite(BaseModel):
    """weight · mean(bio) + (1 − weight) · mean(batch), each metric brought to 0 … 1 (Luecken et al. 2021)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(default=0.6, ge=0, le=1)
    bio: tuple[Literal["ari", "nmi", "ami", "silhouette", "clisi"], ...] = ("ari", "nmi", "silhouette")
    batch: tuple[Literal["ilisi", "kbet", "batch-silhouette", "ari"], ...] = ("ilisi", "kbet")


class Nested(BaseModel):
    """Donors held out in turn; what is chosen is chosen on the others.

    ``grid`` holds changes, ``TARGET.KEY`` → values, whose combinations are the candidates. ``test`` says how
    the held-out donors are judged: ``apply`` gives them to the chain fitted on the others; ``alone`` runs the
    chosen recipe on each of them by itself and ``together`` on all of a fold at once (single-donor and
    multi-donor integration), both transductive. ``held_out`` is how many donors a fold holds out,
    ``tuning_seeds`` how many of the study's seeds each candidate is tried with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)
    composite: Composite = Composite()
    test: tuple[Literal["apply", "alone", "together"], ...] = ("apply", "alone")
    held_out: int = Field(default=1, ge=1)
    tuning_seeds: int = Field(default=1, ge=1)


class Design(BaseModel):
    """A study.

    Arms are either named recipes, or every combination of the levels of some factors, whose steps stand
    between the steps ``before`` and ``after``. ``k_seeds`` is with how many of the seeds a criterion chooses
    K, which costs many fits; 0 for all of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")
    title: str = ""
    question: str = ""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    k_from: tuple[KFrom, ...] = ("truth",)
    k_seeds: int = Field(default=0, ge=0)
    metric: str = "ari"
    reference: str = ""
    arms: dict[str, Arm] = Field(default_factory=dict)
    before: tuple[dict[str, Any], ...] = ()
    factors: dict[str, dict[str, Level]] = Field(default_factory=dict)
    after: tuple[dict[str, Any], ...] = ()
    nested: Nested | None = None

    @field_validator("factors", mode="before")
    @classmethod
    def _levels(cls, value: Any) -> Any:
        """A level that is a list is its steps."""
        if not isinstance(value, Mapping):
            return value
        return {factor: _listed(levels) for factor, levels in value.items()}

    def levels(self) -> dict[str, dict[str, str]]:
        """Arm → factor → level; without factors each arm has none."""
        if not self.factors:
            return {name: {} for name in self.arms}
        return {
            JOIN.join(chosen): dict(zip(self.factors, chosen, strict=True))
            for chosen in product(*self.factors.values())
        }

    def recipes(self, where: str = "") -> dict[str, Recipe]:
        """Arm → its recipe.

        Raises
        ------
        RecipeError
            When an arm is no recipe; the arm is named.
        """
        found, faults = {}, Faults(where or f"study {self.name}")
        for name, chosen in self.levels().items():
            try:
                found[name] = self._recipe(name, chosen)
            except (RecipeError, UnknownComponentError) as error:
                faults.add(f"arm «{name}»: {error}")
        faults.raise_if_any(RecipeError)
        return found

    def _recipe(self, name: str, chosen: Mapping[str, str]) -> Recipe:
        if not self.factors:
            return load(self.arms[name].recipe, self.arms[name].changes)
        levels = [self.factors[factor][level] for factor, level in chosen.items()]
        steps = [*self.before, *(step for level in levels for step in level.steps), *self.after]
        content: dict[str, Any] = {"name": self.name, "title": name, "steps": steps}
        return validated(changed(content, [c for level in levels for c in level.changes]), "its recipe")


def _listed(levels: Any) -> Any:
    """Levels by name, each a mapping."""
    if not isinstance(levels, Mapping):
        return levels
    return {name: {"steps": one} if isinstance(one, list) else one for name, one in levels.items()}


def with_k(recipe: Recipe, k_from: str) -> Recipe:
    """The recipe with K chosen in another way, wherever it takes K from the known labels."""
    steps = []
    for step in recipe.steps:
        oracle = step.do == "cluster" and step.k_from == "truth"
        steps.append(step.model_copy(update={"k_from": k_from}) if oracle else step)
    return recipe.model_copy(update={"steps": tuple(steps)})


def candidates(recipe: Recipe, grid: Mapping[str, Sequence[Any]]) -> Iterator[tuple[dict[str, Any], Recipe]]:
    """Every combination of a grid with its recipe; what a recipe has no place for is left out."""
    content = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    able = {}
    for target, values in grid.items():
        try:
            changed(content, [f"{target}={yaml.safe_dump(values[0]).strip().removesuffix('...').strip()}"])
            able[target] = values
        except (RecipeError, UnknownComponentError):
            continue
    for chosen in product(*able.values()):
        settings = dict(zip(able, chosen, strict=True))
        changes = [f"{target}={_yaml(value)}" for target, value in settings.items()]
        yield settings, validated(changed(content, changes), f"{recipe.name} with {settings}")


def _yaml(value: Any) -> str:
    """One line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("...").strip()
