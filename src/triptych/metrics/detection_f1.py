"""How well nuclei are found, whatever their outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.centroid_matching import matched_centroids
from triptych.maths.nuclei_ratios import f1
from triptych.metrics.nuclei import RADIUS_UM, check_radius, images_of


@dataclass(frozen=True)
class DetectionF1:
    """Harmonic mean of precision and recall of the found nuclei: 0 to 1.

    2 TP / (2 TP + FP + FN), pooled over the images. True and found nuclei of an image are matched one to one
    by their centroids, those at most a radius apart: as many pairs as possible, and of these matchings the
    one with the smallest sum of distances (Kuhn 1955). NaN where there is no nucleus, true or found.

    Parameters
    ----------
    radius_um
        Largest distance of the centroids of a pair.
    """

    radius_um: float = RADIUS_UM

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1002/nav.3800020109"

    def __post_init__(self) -> None:
        check_radius(self.radius_um)

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        chosen = images_of("detection-f1", images, overlaps)
        return float(f1(chosen, matched_centroids(chosen, self.radius_um)).pooled())
