"""What every step of a recipe has, and the kinds of slots that steps name."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from triptych.core import slots
from triptych.core.slots import Slot

Over = Literal["sample", "study"]


def _slot(text: str) -> str:
    return str(Slot.parse(text))


def _writable(container: str) -> AfterValidator:
    def check(text: str) -> str:
        slot = Slot.parse(text)
        if slot.container not in container.split("|"):
            raise ValueError(f"{text} must be written to {container.replace('|', ' or ')}")
        if text in RESERVED:
            raise ValueError(f"{text} belongs to the data and is never written")
        return str(slot)

    return AfterValidator(check)


RESERVED = (
    slots.COUNTS, slots.SAMPLE, slots.DONOR, slots.BATCH, slots.TRUTH, slots.SPATIAL, slots.SPATIAL_UM,
)  # fmt: skip
SlotName = Annotated[str, AfterValidator(_slot)]
MatrixOut = Annotated[str, _writable("obsm|layers")]
AbundanceOut = Annotated[str, _writable("obsm")]
LabelsOut = Annotated[str, _writable("obs")]
NucleiOut = Annotated[str, _writable("nuclei")]


class BaseStep(BaseModel):
    """What every step has: a component, its parameters, and whether it sees a sample or the study."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    default_over: ClassVar[Over] = "study"

    use: str
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    over: Over | None = None

    @property
    def reads(self) -> dict[str, str]:
        """Role → slot."""
        return {}

    @property
    def writes(self) -> str:
        """The slot written; empty for a score."""
        return getattr(self, "to", "")

    @property
    def also(self) -> str:
        """A second slot that it writes; empty for none."""
        return ""
