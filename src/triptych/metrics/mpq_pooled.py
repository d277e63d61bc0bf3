"""How well the nuclei of each class are found and outlined, all images as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import mean_of_known, panoptic_by_class
from triptych.metrics.nuclei import images_of, told


@dataclass(frozen=True)
class MpqPooled:
    """Panoptic quality of each class, of IoU, TP, FP and FN added up over the images; mean over the classes.

    1/C Σ_c Σ IoU_c / (TP_c + FP_c/2 + FN_c/2): 0 to 1. Nuclei of a class that were found in images where it
    does not occur count as FP. A class that neither occurs nor is found is left out. True nuclei of unknown
    class are left out, with the found ones that have an IoU above 0.5 with them, and so are images with true
    nuclei of which none has a known class. NaN where no true nucleus has a known class, or where nuclei were
    found but none has a class.
    """

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = True
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
        chosen = images_of("mpq-pooled", images, overlaps)
        if not told(chosen, overlaps):
            return float("nan")
        return mean_of_known(panoptic_by_class(chosen).pooled())
