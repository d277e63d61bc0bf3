"""The steps that make labels of nuclei, and a model of them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from triptych.core import slots
from triptych.pipeline.step import BaseStep, LabelsOut, MatrixOut, NucleiOut, Over, SlotName

HeldOutOfTiles = Literal["organ", "donor", "sample", "none"]
LearnFrom = Literal["outlines", "known"]


class Register(BaseStep):
    """Outlines of nuclei and the picture → where the picture shows them. A section may be refused: NaN."""

    default_over: ClassVar[Over] = "sample"
    do: Literal["register"] = "register"
    to: MatrixOut = slots.REGISTERED

    @property
    def reads(self) -> dict[str, str]:
        """The picture, the outlines and the places of the nuclei."""
        return {"image": slots.IMAGE, "outlines": slots.OUTLINES, "places": slots.SPATIAL}


class Annotate(BaseStep):
    """Counts of cells → the type of each, with its probabilities in obsm and its confidence in obs.

    A cell whose likeliest type is less probable than ``least_confidence`` gets none. ``given`` is a column of
    types that somebody else made, for the annotator that takes a table.
    """

    do: Literal["annotate"] = "annotate"
    given: SlotName | None = None
    least_confidence: float = Field(default=0.5, ge=0, le=1)
    to: LabelsOut = slots.NUCLEUS_TYPE

    @property
    def reads(self) -> dict[str, str]:
        """The counts, the sections, and the types that are given."""
        return {
            "counts": slots.COUNTS, "batch": slots.BATCH, "sample": slots.SAMPLE,
            **({"given": self.given} if self.given else {}),
        }  # fmt: skip


class Harm(BaseModel):
    """Noise that is put into the labels on purpose, to see what it costs.

    ``flipped`` is the share of nuclei of known type that get another one; ``displaced_um`` how far the
    outlines of a section are moved, all in one direction; ``lost`` the share of nuclei that are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flipped: float = Field(default=0, ge=0, le=1)
    displaced_um: float = Field(default=0, ge=0, le=50)
    lost: float = Field(default=0, ge=0, lt=1)


class Segment(BaseStep):
    """Labelled tiles → a model that finds nuclei and their types; each organ judged by what never saw it.

    The tiles are made first: of ``outlines`` and types from transcripts, or from labels that are ``known``,
    at ``mpp`` µm per pixel; of each section at most ``most_tiles``. ``held_out`` says what is held out in
    turn; ``none`` fits once on everything and judges nothing here. What is judged is held against known
    labels where a section has them, else against the outlines and types from transcripts.
    """

    do: Literal["segment"] = "segment"
    learn_from: LearnFrom = "outlines"
    types: SlotName | None = None
    places: SlotName = slots.SPATIAL
    held_out: HeldOutOfTiles = "organ"
    mpp: float = Field(default=0.25, gt=0, le=2)
    tile_px: int = Field(default=256, ge=64, le=1024, multiple_of=32)
    most_tiles: int = Field(default=2000, ge=1)
    harm: Harm = Harm()
    to: NucleiOut

    @property
    def reads(self) -> dict[str, str]:
        """The picture, the outlines, their places, the types, and what is held out."""
        return {
            "image": slots.IMAGE, "outlines": slots.OUTLINES, "places": self.places,
            **({"types": self.types} if self.types else {}),
            **({"donor": slots.DONOR} if self.held_out == "donor" else {}),
        }  # fmt: skip
