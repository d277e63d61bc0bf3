"""How well the nuclei of each class are found and outlined, image by image, as PanNuke counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import mean_of_known, over_classes, panoptic_by_class, true_by_class
from triptych.metrics.nuclei import images_of, told


@dataclass(frozen=True)
class Mpq:
    """Panoptic quality of each class, mean over the classes of an image, then over the images: 0 to 1.

    As PanNuke does (Gamper et al. 2020), of an image only those classes count that truly occur in it, so
    nuclei of a class that were found where it does not occur cost nothing: read it beside ``mpq-pooled``. The
    mean is over images, not over tissues. True nuclei of unknown class are left out, with the found ones that
    have an IoU above 0.5 with them; so is an image without a true nucleus of known class. NaN where every
    image is left out, or where nuclei were found but none has a class.
    """

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.48550/arXiv.2003.10778"

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        chosen = images_of("mpq", images, overlaps)
        if not told(chosen, overlaps):
            return float("nan")
        here = true_by_class(chosen) > 0
        return mean_of_known(over_classes(np.where(here, panoptic_by_class(chosen).values, np.nan)))
