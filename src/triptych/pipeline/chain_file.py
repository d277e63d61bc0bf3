"""The JSON file of a fitted recipe, as validated on reading."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Trained(BaseModel):
    """What the fit saw.

    Parameters
    ----------
    data
        What the user called it.
    donors
        Sample → donor.
    counts
        Sample → digest of its counts, by which a section of the fit is known again.
    k_from
        Slot of labels → where its k came from.
    versions
        Package → version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    donors: dict[str, str]
    counts: dict[str, str]
    k_from: dict[str, str]
    versions: dict[str, str]


class Linked(BaseModel):
    """A link as written down: its place in the recipe, the component's name and values, whether it learned.

    ``files`` is the digest of the weights that the component reads itself, where it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: int = Field(ge=1)
    use: str
    params: dict[str, Any]
    learned: bool
    files: str = ""


class Written(BaseModel):
    """The JSON file of a chain, as validated on reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    recipe: dict[str, Any]
    links: list[Linked]
    genes: list[str]
    spaces: dict[str, str]
    trained: Trained
