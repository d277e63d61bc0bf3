"""How well nuclei are found and told apart, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import aggregated_jaccard
from triptych.metrics.nuclei import images_of


@dataclass(frozen=True)
class Aji:
    """Aggregated Jaccard index (Kumar et al. 2017), mean over the images: 0 to 1.

    Σ_t |t ∩ g(t)| / (Σ_t |t ∪ g(t)| + Σ_u |u|), where g(t) is the found nucleus of the largest IoU with the
    true nucleus t, and u are the found nuclei that are g of none. A true nucleus that meets nothing adds its
    area below. A found nucleus may be g of several. Where two have the same IoU, the one that shares more
    pixels is taken, then the one whose centroid lies higher, then further left. An image without any
    nucleus, true or found, is left out; where every image is, the score is NaN.
    """

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1109/TMI.2017.2677499"

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        return aggregated_jaccard(images_of("aji", images, overlaps)).over_images()
