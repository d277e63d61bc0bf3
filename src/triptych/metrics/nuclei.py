"""What every metric of nuclei does on the way in."""

from __future__ import annotations

from typing import Final

import numpy as np

from triptych.core.checks import Faults
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import types_told
from triptych.maths.overlaps import of_images

RADIUS_UM: Final = 3.0  # 12 px at 40×, about the radius of a nucleus


def images_of(metric: str, images: Indices, overlaps: Overlaps) -> Overlaps:
    """The images that count; one that is named twice counts twice.

    Parameters
    ----------
    metric
        Its name, to open the message.
    images
        Rows of the images, shape (i,).
    overlaps
        Of all images.

    Raises
    ------
    DataError
        When no image is named, or one that does not exist.
    """
    faults, images, count = Faults(metric), np.asarray(images), len(overlaps.organs)
    faults.check(len(images) > 0, "there is no image of known nuclei.")
    strange = int(((images < 0) | (images >= count)).sum())
    faults.check(strange == 0, f"{strange} images do not exist; there are {count}.")
    faults.raise_if_any()
    if len(images) == count and bool((images == np.arange(count)).all()):
        return overlaps
    return of_images(overlaps, images)


def told(chosen: Overlaps, overlaps: Overlaps) -> bool:
    """Whether the types of some images can be judged.

    Parameters
    ----------
    chosen
        The images that count; some true nucleus there must be of a known type.
    overlaps
        All images; what found nuclei there must have told some type, if it found any.
    """
    return bool((chosen.truth["type"] >= 0).any()) and types_told(overlaps)


def check_radius(radius_um: float) -> None:
    """Refuse a radius that is none.

    Raises
    ------
    ValueError
        Unless it is above 0 and finite.
    """
    if not 0 < radius_um < float("inf"):
        raise ValueError("radius_um must be above 0")
