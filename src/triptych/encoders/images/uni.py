"""UNI: a vision transformer trained on 100 million windows of histology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from triptych.encoders.card import Card
from triptych.encoders.images.timm_model import TimmModel, created
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURE: Final[dict[str, Any]] = {  # as published with the weights; the rest is timm's
    "img_size": 224,
    "patch_size": 16,
    "init_values": 1e-5,
    "dynamic_img_size": True,
}


@dataclass(frozen=True)
class UNI(TimmModel):
    """The 1 024 numbers of UNI's class token (Chen et al. 2024).

    The weights are gated and may not be used commercially.

    Parameters
    ----------
    window_um
        Side of the tissue seen; at 112 µm a pixel is 0.5 µm, as in training.
    weights
        A file, a folder, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    window_um: float = 112.0
    weights: str = HUB

    cite: ClassVar[str] = "10.1038/s41591-024-02857-3"
    card: ClassVar[Card] = Card(
        name="uni",
        dimension=1024,
        source="MahmoodLab/UNI",
        licence="CC-BY-NC-ND-4.0",
        gated=True,
        cite=cite,
        input_px=224,
        mpp=0.5,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )

    def build(self) -> nn.Module:
        """The transformer up to its class token."""
        return created("vit_large_patch16_224", **ARCHITECTURE)
