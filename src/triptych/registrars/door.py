"""What every registrar refuses on the way in."""

from __future__ import annotations

import numpy as np

from triptych.core.checks import Faults
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Matrix


def check_outlines(registrar: str, outlines: Outlines, centres_px: Matrix) -> None:
    """Refuse what cannot be outlines of nuclei, or places of observations.

    Parameters
    ----------
    registrar
        Its name, to open the message.
    outlines
        Should be closed rings with finite vertices.
    centres_px
        Should be finite, of shape (n, 2).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(registrar)
    shaped = centres_px.ndim == 2 and centres_px.shape[1] == 2
    if faults.check(shaped, f"the centres have shape {centres_px.shape}; they need (n, 2), x and y."):
        lost = int((~np.isfinite(centres_px)).any(axis=1).sum())
        faults.check(lost == 0, f"{lost} of {len(centres_px)} centres are not finite. Remove those rows.")
    broken = int((~np.isfinite(outlines.px)).any(axis=1).sum())
    faults.check(broken == 0, f"{broken} vertices of the outlines are not finite. Remove those nuclei.")
    empty = int((np.diff(outlines.first) < 3).sum())
    faults.check(empty == 0, f"{empty} outlines have fewer than 3 vertices. Remove those nuclei.")
    faults.raise_if_any()


def check_scale(registrar: str, mpp: float) -> None:
    """Refuse a section without a scale.

    Parameters
    ----------
    registrar
        Its name, to open the message.
    mpp
        Micrometres per full-resolution pixel.

    Raises
    ------
    DataError
        When it is no positive number.
    """
    faults = Faults(registrar)
    known = bool(np.isfinite(mpp) and mpp > 0)
    hint = "Give --mpp, or write the pixel size where the reader looks for it."
    faults.check(known, f"the section has no scale: µm per pixel are {mpp}.")
    faults.raise_if_any(hint=hint)
