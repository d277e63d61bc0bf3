"""How well nuclei are found and outlined, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import panoptic
from triptych.metrics.nuclei import images_of


@dataclass(frozen=True)
class Pq:
    """Binary panoptic quality, bPQ (Kirillov et al. 2019), mean over the images: 0 to 1.

    Of each image Σ IoU(t, g) / (TP + FP/2 + FN/2), the sum over the TP pairs of a true and a found nucleus,
    of whatever type, whose IoU is above 0.5; no nucleus has two of them. An image with neither true nor found
    nuclei is left out, one with either alone counts 0; where every image is left out, the score is NaN.
    """

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1109/CVPR.2019.00963"

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        return panoptic(images_of("pq", images, overlaps)).over_images()
