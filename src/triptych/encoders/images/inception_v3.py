"""Inception v3: a convolutional network trained on the photographs of ImageNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triptych.encoders.card import Card
from triptych.encoders.images.timm_model import TimmModel, created
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class InceptionV3(TimmModel):
    """The 2 048 means of the last feature maps of Inception v3 (Szegedy et al. 2016).

    Parameters
    ----------
    window_um
        Side of the tissue seen; the diameter of a Visium spot.
    weights
        A file, a folder, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.

    Notes
    -----
    The weights are torchvision's, ported from those of the authors, and want colours in -1 … 1. torchvision
    takes colours normalised as for its other models and brings them to -1 … 1 inside the model
    (``transform_input``); here they are brought there once, by the card's mean and standard deviation. The
    classifiers, the last and the auxiliary one, are not built.
    """

    window_um: float = 55.0
    weights: str = HUB

    cite: ClassVar[str] = "10.1109/CVPR.2016.308"
    beside: ClassVar[tuple[str, ...]] = ("fc.", "AuxLogits.")
    card: ClassVar[Card] = Card(
        name="inception-v3",
        dimension=2048,
        source="timm/inception_v3.tv_in1k",
        licence="Apache-2.0",
        gated=False,
        cite=cite,
        input_px=299,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )

    def build(self) -> nn.Module:
        """The network up to its pooled features."""
        return created("inception_v3", aux_logits=False)
