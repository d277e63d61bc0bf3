"""How well nuclei of each class are found and called, whatever their outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.centroid_matching import matched_centroids
from triptych.maths.nuclei_ratios import Definition, mean_of_known, type_f1
from triptych.metrics.nuclei import RADIUS_UM, check_radius, images_of, told


@dataclass(frozen=True)
class TypeF1:
    """F1 of each class, pooled over the images, then the mean over the classes: 0 to 1.

    Nuclei are matched by their centroids as ``detection-f1`` does, whatever their classes. Of the class c,

    plain: 2 TP / (2 TP + FP + FN), where TP are pairs that are c and called c, FP all other found nuclei that
    are called c, FN all other true nuclei of c, matched or not;

    hovernet: 2 (TP + TN) / (2 (TP + TN) + 2 FP + 2 FN + FP_d + FN_d), where TP, TN (pairs that neither are c
    nor are called c), FP and FN count pairs, FP_d and FN_d nuclei without a partner (Graham et al. 2019). TN
    makes it high for rare classes.

    True nuclei of unknown class are left out, with the found ones that are matched to them, and so are images
    with true nuclei of which none has a known class. A class that neither occurs nor is found is left out.
    NaN where no true nucleus has a known class, or where nuclei were found but none has a class.

    Parameters
    ----------
    radius_um
        Largest distance of the centroids of a pair.
    definition
        ``plain`` or ``hovernet``.
    """

    radius_um: float = RADIUS_UM
    definition: Definition = "plain"

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1016/j.media.2019.101563"

    def __post_init__(self) -> None:
        check_radius(self.radius_um)

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        chosen = images_of("type-f1", images, overlaps)
        if not told(chosen, overlaps):
            return float("nan")
        pairs = matched_centroids(chosen, self.radius_um)
        return mean_of_known(type_f1(chosen, pairs, self.definition).pooled())
