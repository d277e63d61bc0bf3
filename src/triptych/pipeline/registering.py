"""Registration between the table and the registrars: outlines and a picture in, corrected places out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core import slots
from triptych.core.models import Saved
from triptych.core.nuclei import Outlines, Picture
from triptych.core.protocols import Matrix
from triptych.pipeline.outlined import outlines_in
from triptych.pipeline.study import Study
from triptych.tiles.rescaled import Rescaled
from triptych.tiles.slide import open_slide

TABLE: Final = "registration"  # of the record
COLUMNS: Final = ("x_px", "y_px", "dx_px", "dy_px", "scale", "score_before", "score", "nuclei", "used")


@dataclass(frozen=True, eq=False)
class FoundShift(Saved):
    """What was found of one section, region by region.

    Parameters
    ----------
    regions
        The columns of `COLUMNS`, shape (r, 9).
    score
        Of the section after the correction.
    shift_um
        Median of the shifts of its nuclei, x and y, shape (2,).
    refused
        Why it is refused; empty when it is not.
    """

    regions: NDArray[np.float64]
    score: float
    shift_um: NDArray[np.float64]
    refused: str

    @property
    def chosen(self) -> dict[str, float]:
        """The shift, the score, and whether the section is refused."""
        x, y = self.shift_um
        return {
            "shift_x_um": float(x), "shift_y_um": float(y), "score": self.score,
            "refused": float(bool(self.refused)),
        }  # fmt: skip


class Registrable(NamedTuple):
    """What a registrar is given of one section, and where its picture lies."""

    sample: str
    outlines: Outlines
    centres_px: Matrix
    image: str
    image_scale: float
    mpp: float


def gathered(study: Study, unit: str) -> dict[str, Any]:
    """A section with its outlines.

    Raises
    ------
    DataError
        When its outlines are damaged, or it has no µm per pixel.
    """
    about = study.about.loc[unit].to_dict()
    study.pixels(unit)  # the door: a picture and its resolution
    return {
        "section": Registrable(
            unit, outlines_in(study, unit), np.asarray(study.array(slots.SPATIAL, unit), np.float64),
            str(about["image"]), float(about["image_scale"]), float(about["mpp"]),
        )
    }  # fmt: skip


def _picture(section: Registrable) -> Picture:
    """The picture in full-resolution pixels, of which its file may hold more or fewer."""
    return Rescaled(open_slide(section.image), 1 / section.image_scale)


def registered(component: Any, given: Mapping[str, Any]) -> tuple[Matrix, FoundShift]:
    """Places of the nuclei on the picture, NaN where the section is refused; and what was found."""
    one: Registrable = given["section"]
    found = component.register(one.outlines, one.centres_px, _picture(one), one.mpp)
    refused = bool(found.refused)
    places = np.full_like(one.centres_px, np.nan) if refused else one.centres_px + found.shift_px
    regions = found.regions.reindex(columns=list(COLUMNS)).astype(float).to_numpy()
    shift = np.median(found.shift_px, axis=0) * one.mpp if len(found.shift_px) else np.zeros(2)
    return places, FoundShift(
        regions.reshape(-1, len(COLUMNS)), float(found.score), shift, str(found.refused)
    )


def table_of(models: Mapping[str, FoundShift]) -> pd.DataFrame:
    """The regions of all sections, one row each, with the section and why it is refused."""
    frames = [
        pd.DataFrame(model.regions, columns=list(COLUMNS)).assign(
            used=model.regions[:, -1].astype(bool), refused=model.refused, section_score=model.score
        )
        for model in models.values()
    ]
    named = [frame.assign(sample=name) for name, frame in zip(models, frames, strict=True)]
    whole = pd.concat(named, ignore_index=True)
    return whole[["sample", *(column for column in whole.columns if column != "sample")]]


def notes_of(models: Mapping[str, FoundShift]) -> list[str]:
    """Which sections are refused, and why."""
    return [
        f"{name} is refused and its nuclei are not learned from: {model.refused}"
        for name, model in models.items()
        if model.refused
    ]
