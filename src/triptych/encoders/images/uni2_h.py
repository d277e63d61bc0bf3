"""UNI2-h: a vision transformer trained on 200 million windows of histology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from triptych.core.extras import need
from triptych.encoders.card import Card
from triptych.encoders.images.timm_model import TimmModel, created
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURE: Final[dict[str, Any]] = {  # as published with the weights
    "img_size": 224,
    "patch_size": 14,
    "depth": 24,
    "num_heads": 24,
    "init_values": 1e-5,
    "embed_dim": 1536,
    "mlp_ratio": 2.66667 * 2,
    "reg_tokens": 8,
    "no_embed_class": True,
    "dynamic_img_size": True,
}


@dataclass(frozen=True)
class UNI2h(TimmModel):
    """The 1 536 numbers of UNI2-h's class token (Chen et al. 2024).

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
        name="uni2-h",
        dimension=1536,
        source="MahmoodLab/UNI2-h",
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
        from torch.nn import SiLU

        gated = need("timm.layers", "images").SwiGLUPacked
        return created("vit_giant_patch14_224", mlp_layer=gated, act_layer=SiLU, **ARCHITECTURE)
