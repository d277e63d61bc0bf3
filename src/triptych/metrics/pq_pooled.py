"""How well nuclei are found and outlined, all images as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import panoptic
from triptych.metrics.nuclei import images_of


@dataclass(frozen=True)
class PqPooled:
    """Binary panoptic quality (Kirillov et al. 2019) of the nuclei of all images: 0 to 1.

    Σ IoU(t, g) / (TP + FP/2 + FN/2), with IoU, TP, FP and FN added up over the images first, so that each
    nucleus weighs the same. Pairs are those of ``pq``. NaN where there is no nucleus, true or found.
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
        return float(panoptic(images_of("pq-pooled", images, overlaps)).pooled())
