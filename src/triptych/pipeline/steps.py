"""The steps a recipe is made of: one model per verb, closed to unknown keys.

No edges are written. A step depends on whichever step last wrote a slot that it reads.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from triptych.core import slots
from triptych.core.slots import Slot
from triptych.pipeline.blocks import Each
from triptych.pipeline.step import AbundanceOut, BaseStep, LabelsOut, MatrixOut, Over, SlotName
from triptych.pipeline.steps_nuclei import Annotate, Register, Segment

KFrom = Literal["recipe", "truth", "bic", "stability"]
HeldOut = Literal["donor", "sample", "block"]
TABLE = r"^[a-z0-9][a-z0-9.\-]*$"
FITTED = ("encoder", "tuned")  # roles that stand for what a step has learned, not for what it wrote


class Stain(BaseModel):
    """How the pixels of a section are brought to a reference stain before an encoder sees them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    use: str
    params: dict[str, Any] = Field(default_factory=dict, alias="with")


class Encode(BaseStep):
    """Counts, places or windows of pixels → a view. What it reads is the encoder's to say."""

    do: Literal["encode"] = "encode"
    to: MatrixOut
    stain: Stain | None = None

    @field_validator("stain", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A name alone is a normaliser with its defaults; ``none`` is none."""
        if isinstance(value, str):
            return None if value == "none" else {"use": value}
        return value


class Align(BaseStep):
    """A view without the nuisance of the batch."""

    do: Literal["align"] = "align"
    x: SlotName
    batch: SlotName = slots.BATCH
    to: MatrixOut

    @property
    def reads(self) -> dict[str, str]:
        """The view and the batch."""
        return {"x": self.x, "batch": self.batch}


class Fuse(BaseStep):
    """Views by role → one space."""

    do: Literal["fuse"] = "fuse"
    views: dict[str, SlotName] = Field(min_length=1)
    to: MatrixOut

    @property
    def reads(self) -> dict[str, str]:
        """The views in sorted order of their roles, and the places."""
        return {**{f"views.{role}": self.views[role] for role in sorted(self.views)}, "places": slots.SPATIAL}


class Cluster(BaseStep):
    """A space → labels; or several views by role, for clusterers that take views.

    ``k_from`` says where k comes from: the ``recipe`` itself; the known labels (``truth``: oracle K) where
    there are any; or a criterion that sees no labels, tried from ``k_min`` to ``k_max``. A clusterer that
    learns a space of its own may start from the ``encoder`` of the fuse step that wrote a slot, and its own
    space goes to ``space``. Each view may inherit the settings that another cluster step chose for it:
    ``tuned`` names the labels which that step wrote.
    """

    do: Literal["cluster"] = "cluster"
    x: SlotName | None = None
    views: dict[str, SlotName] = Field(default_factory=dict)
    tuned: dict[str, SlotName] = Field(default_factory=dict)
    to: LabelsOut
    k_from: KFrom = "recipe"
    k_min: int = Field(default=2, ge=1)
    k_max: int = Field(default=15, ge=2)
    encoder: SlotName | None = None
    space: MatrixOut | None = None

    @model_validator(mode="after")
    def _one_input(self) -> Cluster:
        """A space or views, and settings of none but these."""
        if bool(self.x) == bool(self.views):
            raise ValueError("name either a space with x, or views by role")
        strange = sorted(set(self.tuned) - set(self.views))
        if strange:
            raise ValueError(f"tuned names {', '.join(strange)}, which is none of the views")
        return self

    @property
    def reads(self) -> dict[str, str]:
        """The space or the views, what they inherit settings from, and the encoder that it starts from."""
        return {
            **({"x": self.x} if self.x else {}),
            **{f"views.{role}": self.views[role] for role in sorted(self.views)},
            **{f"tuned.{role}": self.tuned[role] for role in sorted(self.tuned)},
            **({"encoder": self.encoder} if self.encoder else {}),
        }

    @property
    def learns_from(self) -> dict[str, str]:
        """Role → slot written by a step whose fitted model this one is given."""
        return {role: slot for role, slot in self.reads.items() if role.partition(".")[0] in FITTED}

    @property
    def also(self) -> str:
        """The slot of the space that it learns; empty for none."""
        return self.space or ""


class Refine(BaseStep):
    """Labels and places → labels."""

    default_over: ClassVar[Over] = "sample"
    do: Literal["refine"] = "refine"
    labels: SlotName
    to: LabelsOut

    @property
    def reads(self) -> dict[str, str]:
        """The labels and the places."""
        return {"labels": self.labels, "places": slots.SPATIAL}


class Deconvolve(BaseStep):
    """Counts → cell types: by a ``reference`` of single cells (h5ad), or read from a ``table``.

    ``types`` and ``batch`` name columns of the reference; without ``types`` the first usual name is taken.
    """

    do: Literal["deconvolve"] = "deconvolve"
    reference: str = ""
    types: str = ""
    batch: str = ""
    table: str = ""
    to: AbundanceOut = slots.ABUNDANCE

    @property
    def reads(self) -> dict[str, str]:
        """The counts."""
        return {"counts": slots.COUNTS, "batch": slots.BATCH}


class Predict(BaseStep):
    """Views by role, or windows of pixels → cell types, each predicted by what never saw its donor.

    ``held_out`` says what is held out in turn: a ``donor``, a section (``sample``) or a ``block`` of
    neighbours in a section, each weaker evidence than the one before. What is kept for other sections is
    fitted on all of them. Observations where the ``background`` view, mean colours, is on average above
    ``background_above`` are neither learned from nor predicted.
    """

    do: Literal["predict"] = "predict"
    views: dict[str, SlotName] = Field(default_factory=dict)
    target: SlotName = slots.ABUNDANCE
    held_out: HeldOut = "donor"
    background: SlotName | None = None
    background_above: float = Field(default=200, ge=0, le=255)
    to: AbundanceOut

    @property
    def reads(self) -> dict[str, str]:
        """The views in sorted order of their roles, the target, the places, and what tells the background."""
        return {
            **{f"views.{role}": self.views[role] for role in sorted(self.views)},
            "target": self.target, "places": slots.SPATIAL,
            **({"donor": slots.DONOR} if self.held_out == "donor" else {}),
            **({"background": self.background} if self.background else {}),
        }  # fmt: skip


class Score(BaseStep):
    """Labels against the truth or the space ``x`` they should separate; abundance against another; or nuclei.

    Nuclei are scored in the pictures of ``all`` organs, or of those that the fit has ``seen``, or of ``new``.
    """

    default_over: ClassVar[Over] = "sample"
    do: Literal["score"] = "score"
    guess: SlotName
    truth: SlotName = slots.TRUTH
    x: SlotName | None = None
    organs: Literal["all", "seen", "new"] = "all"

    @property
    def reads(self) -> dict[str, str]:
        """The guess, and what it is held against."""
        if Slot.parse(self.guess).container == "nuclei":
            return {"guess": self.guess}
        return {"guess": self.guess, **({"x": self.x} if self.x else {"truth": self.truth})}


class Analyse(BaseStep):
    """Labels with counts or a space, or abundances by role → a table of results, by name."""

    do: Literal["analyse"] = "analyse"
    labels: SlotName | None = None
    x: SlotName | None = None
    abundances: dict[str, SlotName] = Field(default_factory=dict)
    nuclei: SlotName | None = None
    to: str

    @field_validator("to")
    @classmethod
    def _table(cls, value: str) -> str:
        """A plain name, as it becomes a file's."""
        if not re.fullmatch(TABLE, value):
            raise ValueError(f"{value} is no name of a table: use small letters and digits, e.g. markers")
        if value == "distance":
            raise ValueError("the table distance is written by apply: use another name")
        return value

    @property
    def reads(self) -> dict[str, str]:
        """The labels, the places, the space and the abundances named; counts are the analysis' to say."""
        return {
            **({"labels": self.labels} if self.labels else {}),
            "places": slots.SPATIAL,
            **({"x": self.x} if self.x else {}),
            **{f"abundances.{role}": slot for role, slot in self.abundances.items()},
            **({"nuclei": self.nuclei} if self.nuclei else {}),
        }

    @property
    def writes(self) -> str:
        """No slot: the table stands in the record."""
        return ""


Plain = (
    Encode
    | Align
    | Fuse
    | Cluster
    | Refine
    | Deconvolve
    | Predict
    | Register
    | Annotate
    | Segment
    | Score
    | Analyse
)
Step = Annotated[Plain | Each, Field(discriminator="do")]
