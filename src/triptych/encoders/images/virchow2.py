"""Virchow2: a vision transformer trained on three million slides of histology at four magnifications."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from triptych.core.extras import need
from triptych.encoders.card import Card
from triptych.encoders.images.timm_model import TimmModel, created
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE: Final[dict[str, Any]] = {  # as published with the weights; the rest is timm's
    "img_size": 224,
    "init_values": 1e-5,
    "mlp_ratio": 5.3375,
    "reg_tokens": 4,
    "global_pool": "",  # all tokens are given
    "dynamic_img_size": True,
}


@dataclass(frozen=True)
class Virchow2(TimmModel):
    """Virchow2's class token, and the mean of the tokens of its patches (Zimmermann et al. 2024).

    The weights are gated and may not be used commercially.

    Parameters
    ----------
    window_um
        Side of the tissue seen; at 112 µm a pixel is 0.5 µm. The model was trained at 0.25, 0.5, 1 and
        2 µm.
    weights
        A file, a folder, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    pooling
        The class token followed by the mean of the tokens of the patches, registers left out: 2 560
        numbers, as its authors recommend; or the class token alone, 1 280.
    """

    window_um: float = 112.0
    weights: str = HUB
    window_px: int = 0
    pooling: Literal["cls", "cls+mean"] = "cls+mean"

    cite: ClassVar[str] = "10.48550/arXiv.2408.00738"
    card: ClassVar[Card] = Card(
        name="virchow2",
        dimension=2560,
        source="paige-ai/Virchow2",
        licence="CC-BY-NC-ND-4.0",
        gated=True,
        cite=cite,
        input_px=224,
        mpp=0.5,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )

    @property
    def wanted(self) -> Card:
        """Card of the weights, with as many numbers as the pooling gives."""
        return self.card if self.pooling == "cls+mean" else replace(self.card, dimension=1280)

    def build(self) -> nn.Module:
        """The transformer up to its tokens."""
        from torch.nn import SiLU

        gated = need("timm.layers", "images").SwiGLUPacked
        return created("vit_huge_patch14_224", mlp_layer=gated, act_layer=SiLU, **ARCHITECTURE)

    def pooled(self, model: nn.Module, x: Tensor) -> Tensor:
        """The class token, (b, 3, h, w) → (b, d), and the mean over patches where asked for."""
        import torch

        tokens: Tensor = model(x)  # class, registers, patches
        if self.pooling == "cls":
            return tokens[:, 0]
        return torch.cat([tokens[:, 0], tokens[:, 1 + ARCHITECTURE["reg_tokens"] :].mean(dim=1)], dim=1)
