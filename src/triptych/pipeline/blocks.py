"""Blocks of steps in a recipe that are repeated."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Each(BaseModel):
    """Steps that are repeated, see `triptych.pipeline.each`: for every view that the data hold, or for names.

    ``views`` is a pattern of slots: in the steps, ``$slot`` stands for the slot of a view and ``$view`` for a
    short name of it. ``of`` lists names, for which ``$NAME`` stands, NAME being what ``as`` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    do: Literal["each"] = "each"
    views: str = Field(default="", pattern=r"^(obsm:[A-Za-z0-9_.\-*]+)?$")
    of: tuple[str, ...] = ()
    called: str = Field(default="name", alias="as", pattern=r"^[a-z]+$")
    steps: tuple[dict[str, Any], ...] = Field(min_length=1)
    use: ClassVar[str] = ""
    params: ClassVar[dict[str, Any]] = {}
    reads: ClassVar[dict[str, str]] = {}
    writes: ClassVar[str] = ""
    also: ClassVar[str] = ""

    @model_validator(mode="after")
    def _one_list(self) -> Each:
        """Views or names."""
        if bool(self.views) == bool(self.of):
            raise ValueError("name either a pattern of views, or names with of")
        return self
