"""What a study compares: arms, seeds, ways to choose K, and how donors are split; read from YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from triptych.core.checks import Faults, nearest
from triptych.core.errors import RecipeError, UnknownComponentError
from triptych.pipeline.recipe import Recipe, changed, load, validated
from triptych.pipeline.steps import KFrom
from triptych.studies.factors import Factors, Level, Table, crossed, distinct, judged
from triptych.studies.settings import NAME, filled, named, told

FILE = r"^[a-z0-9][a-z0-9.\-]*$"


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
    multi-donor integration), both transductive. ``held_out`` is how many donors (or, ``by: sample``, which is
    weaker, sections; ``$by`` is a setting) a fold holds out, ``tuning_seeds`` how many of the study's seeds
    each candidate is tried with. Recipes that predict cell types are chosen by the study's metric on what
    they hold out themselves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)
    composite: Composite = Composite()
    test: tuple[Literal["apply", "alone", "together"], ...] = ("apply", "alone")
    by: Literal["donor", "sample", "$by"] = "donor"
    held_out: int = Field(default=1, ge=1)
    tuning_seeds: int = Field(default=1, ge=1)


class Design(BaseModel):
    """A study.

    Arms are named recipes; or every combination of the levels of some factors, whose steps stand between the
    steps ``before`` and ``after``; or the arms of some ``tables``, each a product of its own factors, where
    arms of one name are one arm. ``k_seeds`` is with how many of the seeds a criterion chooses K, which costs
    many fits; 0 for all of them. ``$name`` in a step stands for one of the ``settings``. Where
    ``leave_out_missing``, arms whose data, weights or packages are not there are left out and said so.
    What every arm learned may also be applied to other data: ``elsewhere`` says where they lie,
    ``elsewhere_samples`` which of their samples, with commas; a metric of them is ``METRIC@elsewhere``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=FILE)
    title: str = ""
    question: str = ""
    settings: dict[Annotated[str, Field(pattern=f"^{NAME}$")], Any] = Field(default_factory=dict)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    k_from: tuple[KFrom, ...] = ("truth",)
    k_seeds: int = Field(default=0, ge=0)
    metric: str = "ari"
    reference: str = ""
    leave_out_missing: bool = False
    elsewhere: str = ""
    elsewhere_samples: str = ""
    arms: dict[str, Arm] = Field(default_factory=dict)
    before: tuple[dict[str, Any], ...] = ()
    factors: Factors = Field(default_factory=dict)
    tables: dict[Annotated[str, Field(pattern=FILE)], Table] = Field(default_factory=dict)
    after: tuple[dict[str, Any], ...] = ()
    nested: Nested | None = None

    @model_validator(mode="after")
    def _known(self) -> Design:
        """Every ``$name``, and every setting that a level needs, is there."""
        levels = [
            level for factors in self._factors() for factor in factors.values() for level in factor.values()
        ]
        names = set(named([self.before, self.after, *([*one.steps, *one.changes] for one in levels)]))
        unknown = sorted((names | {need for level in levels for need in level.needs}) - set(self.settings))
        if unknown:
            raise ValueError(
                " ".join(f"there is no setting {n}. {nearest(n, self.settings)}" for n in unknown)
            )
        return self

    def _factors(self) -> list[dict[str, dict[str, Level]]]:
        return [self.factors, *(table.factors for table in self.tables.values())]

    def judged_by(self, nested: Nested) -> str:
        """What a nested study holds out: ``donor`` or ``sample``."""
        return str(filled(nested.by, self.settings))

    @property
    def other(self) -> tuple[str, tuple[str, ...]]:
        """Other data that what was learned is applied to, and which of their samples; empty for none."""
        path, samples = (str(filled(one, self.settings)) for one in (self.elsewhere, self.elsewhere_samples))
        return path, tuple(name.strip() for name in samples.split(",") if name.strip())

    def told(self, text: str) -> str:
        """A sentence with the values of its settings."""
        return told(text, self.settings)

    def levels(self) -> dict[str, dict[str, str]]:
        """Arm → factor → level; without factors each arm has none."""
        if self.tables:
            found: dict[str, dict[str, str]] = {}
            for table in self.tables.values():
                found |= {arm: one for arm, one in table.arms(self.settings).items() if arm not in found}
            return found
        if not self.factors:
            return {name: {} for name in self.arms}
        return crossed({name: distinct(factor, self.settings) for name, factor in self.factors.items()})

    def asked(self) -> tuple[str, ...]:
        """The factors whose levels the study compares: the columns of its tables, or the last one."""
        if self.tables:
            return tuple(dict.fromkeys(table.columns for table in self.tables.values()))
        return tuple(self.factors)[-1:]

    def left_out(self) -> list[str]:
        """Why a level has no arm with these settings, each in a sentence."""
        found = {
            (name, level, why): None
            for factors in self._factors()
            for name, factor in factors.items()
            for level, why in judged(factor, self.settings)
            if why
        }
        return [f"Left out: {level} ({name}): {why}." for name, level, why in found]

    def recipes(self, where: str = "") -> dict[str, Recipe]:
        """Arm → its recipe.

        Raises
        ------
        RecipeError
            When an arm is no recipe, or two tables mean different ones by a name; arms are named.
        """
        found: dict[str, Recipe] = {}
        wrong: dict[str, list[str]] = {}
        for name, levels in self._arms():
            try:
                recipe = self._recipe(name, levels)
            except (RecipeError, UnknownComponentError) as error:
                wrong.setdefault(str(error), []).append(name)
                continue
            if found.setdefault(name, recipe) != recipe:
                wrong.setdefault("two tables mean different steps by it.", []).append(name)
        faults = Faults(where or f"study {self.name}")
        for message, arms in wrong.items():
            others = f" (and {len(arms) - 1} other arms)" if len(arms) > 1 else ""
            faults.add(f"arm «{arms[0]}»: {message}{others}")
        faults.check(bool(found or wrong), "no arm is left: give the settings that its levels need.")
        faults.raise_if_any(RecipeError)
        return found

    def _arms(self) -> Iterator[tuple[str, list[Level]]]:
        """Every arm with its levels, as often as there are tables that hold it."""
        if not self.tables:
            for name, chosen in self.levels().items():
                yield name, [self.factors[factor][level] for factor, level in chosen.items()]
        for table in self.tables.values():
            for name, chosen in table.arms(self.settings).items():
                yield name, [table.factors[factor][level] for factor, level in chosen.items()]

    def _recipe(self, name: str, levels: Sequence[Level]) -> Recipe:
        if self.arms:
            return load(self.arms[name].recipe, self.arms[name].changes)
        steps = [*self.before, *(step for level in levels for step in level.steps), *self.after]
        content: dict[str, Any] = {
            "name": self.name, "title": name, "steps": filled(steps, self.settings),
        }  # fmt: skip
        made = changed(content, [c for level in levels for c in level.changes])
        return validated(filled(made, self.settings), "its recipe")


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
