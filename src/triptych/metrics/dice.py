"""How well the pixels of nuclei are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import dice
from triptych.metrics.nuclei import images_of


@dataclass(frozen=True)
class Dice:
    """2 |T ∩ G| / (|T| + |G|) of the pixels of true and found nuclei, mean over the images: 0 to 1.

    It does not see whether touching nuclei are told apart. An image without any nucleus, true or found, is
    left out; where every image is, the score is NaN.
    """

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = True
    of_types: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.2307/1932409"

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        return dice(images_of("dice", images, overlaps)).over_images()
