"""What is held out in turn when abundance is predicted, and how the folds come together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from triptych.core import slots
from triptych.core.abundance import Abundance
from triptych.core.errors import DataError
from triptych.core.protocols import Codes
from triptych.maths.folds import blocks_of
from triptych.pipeline.study import STUDY, Study

BLOCKS: Final = 5  # folds of blocks, and blocks along a side of each section
WORDS: Final = {
    "donor": "donor held out",
    "sample": "section held out, its donor in the fit",
    "block": "block held out, its section in the fit",
}
WEAKER: Final = {
    "sample": "Sections were held out, not donors: other sections of a donor are in the fit, which flatters.",
    "block": "Blocks of neighbours were held out: the rest of their section is in the fit, which flatters.",
}


def folds_of(study: Study, held_out: str) -> dict[str, Codes]:
    """Name of each fold → its rows, shape (m,).

    Raises
    ------
    DataError
        When there is but one donor or section, so that holding it out leaves nothing to learn from.
    """
    codes, names = _held(study, held_out)
    if held_out == "block":
        return {f"blocks {fold + 1}": np.flatnonzero(codes % BLOCKS == fold) for fold in range(BLOCKS)}
    if len(names) < 2:
        weaker = "sample" if held_out == "donor" and len(study.samples) > 1 else "block"
        raise DataError(
            f"All observations are of one {held_out} ({names[0]}): without it nothing is left to learn from.",
            f"Bring another {held_out}, or take weaker evidence with --set predict.held_out={weaker}.",
        )
    return {f"{held_out} {name}": np.flatnonzero(codes == code) for code, name in enumerate(names)}


def groups_of(study: Study, held_out: str) -> Codes:
    """Code of what a fit holds out inside itself, of the kind that is held out from it, shape (n,)."""
    return _held(study, held_out)[0]


def _held(study: Study, held_out: str) -> tuple[Codes, list[str]]:
    """Code of the donor, section or block of each observation, shape (n,), and names; blocks have none."""
    if held_out == "block":
        return blocks_of(study.places(STUDY), BLOCKS), []
    return study.codes(slots.DONOR if held_out == "donor" else slots.SAMPLE, STUDY)


def together(n: int, folds: Mapping[str, Codes], made: Mapping[str, Any]) -> Abundance:
    """The predictions of all folds as one.

    Parameters
    ----------
    n
        Observations.
    folds
        Name → rows.
    made
        Name → the `Abundance` of these rows.
    """
    first: Abundance = next(iter(made.values()))

    def whole(part: str) -> Any:
        if any(getattr(one, part) is None for one in made.values()):
            return None
        out = np.full((n, len(first.types)), np.nan)
        for name, rows in folds.items():
            out[rows] = getattr(made[name], part)
        return out

    return Abundance(whole("values"), first.types, whole("low"), whole("high"))


def spread_over(n: int, rows: Codes, part: Abundance) -> Abundance:
    """The abundance of some of n observations, NaN elsewhere."""
    return together(n, {"": rows}, {"": part})
