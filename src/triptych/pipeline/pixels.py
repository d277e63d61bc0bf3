"""Where the windows of a section are cropped."""

from __future__ import annotations

from dataclasses import dataclass

from triptych.core.protocols import Indices, Matrix


@dataclass(frozen=True, eq=False)
class Pixels:
    """Where the windows of one section are cropped.

    Parameters
    ----------
    image
        Reference of the section's image.
    centres_px
        x and y in the image's own pixels, shape (n, 2).
    mpp
        Micrometres per pixel of that image; NaN where unknown.
    rows
        Rows of the unit that the centres belong to, shape (n,).
    """

    image: str
    centres_px: Matrix
    mpp: float
    rows: Indices
