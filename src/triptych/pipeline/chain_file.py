"""The JSON file of a fitted recipe, as validated on reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.core.checks import listing
from triptych.core.errors import WeightsError

FORMAT: Final = 1
ABOUT: Final = "chain.json"
FolderName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]  # a name, never a path


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
    organs
        Sample → organ, where a nuclei model was fitted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    donors: dict[str, str]
    counts: dict[str, str]
    k_from: dict[str, str]
    versions: dict[str, str]
    organs: dict[str, str] = Field(default_factory=dict)


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
    spaces: dict[str, FolderName]
    trained: Trained


def written_in(place: Path) -> Written:
    """Read the file of a chain.

    Parameters
    ----------
    place
        The folder that holds it.

    Raises
    ------
    WeightsError
        When it is damaged, or of another format.
    """
    path = place / ABOUT
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: {error}.", "Run again.") from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise WeightsError(
            f"{place} has the format {content['format']}, not {FORMAT}: "
            "another version of triptych wrote it.",
            "Run again with this version.",
        )
    try:
        return Written.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors()]
        raise WeightsError(f"{path} is damaged: {listing(faults, 3)}.", "Run again.") from error
