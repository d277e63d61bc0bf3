"""By how much the number of nuclei is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.nuclei_ratios import count_error
from triptych.metrics.nuclei import images_of


@dataclass(frozen=True)
class CountError:
    """|found - true| / true, mean over the images: 0 or more, the smaller the better.

    Nuclei that are missed and others that are made up cancel within an image. An image without true nuclei is
    left out; where every image is, the score is NaN.
    """

    against: ClassVar[Literal["nuclei"]] = "nuclei"
    greater_is_better: ClassVar[bool] = False
    of_types: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def score(self, images: Indices, overlaps: Overlaps) -> float:
        """Judge some images, shape (i,).

        Raises
        ------
        DataError
            When no image is named, or one that does not exist.
        """
        return count_error(images_of("count-error", images, overlaps)).over_images()
