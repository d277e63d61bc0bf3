"""H-optimus-0: a vision transformer trained on half a million slides of histology."""

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
    "init_values": 1e-5,
    "dynamic_img_size": False,
}


@dataclass(frozen=True)
class HOptimus0(TimmModel):
    """The 1 536 numbers of H-optimus-0's class token (Saillard et al. 2024).

    The weights are gated; their licence allows any use. No paper describes the model: what is cited is
    the page of its release.

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

    cite: ClassVar[str] = "https://github.com/bioptimus/releases/tree/main/models/h-optimus/v0"
    card: ClassVar[Card] = Card(
        name="h-optimus-0",
        dimension=1536,
        source="bioptimus/H-optimus-0",
        licence="Apache-2.0",
        gated=True,
        cite=cite,
        input_px=224,
        mpp=0.5,
        mean=(0.707223, 0.578729, 0.703617),  # of its own windows of histology, not of photographs
        std=(0.211883, 0.230117, 0.177517),
    )

    def build(self) -> nn.Module:
        """The transformer up to its class token."""
        return created("vit_giant_patch14_reg4_dinov2", **ARCHITECTURE)
