"""CONCH: a vision transformer that learned from histology and its captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from triptych.core.extras import need
from triptych.encoders.card import Card
from triptych.encoders.images.timm_model import TimmModel
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import Tensor, nn

TRUNK: Final[dict[str, Any]] = {  # as the authors' configuration of conch_ViT-B-16; the rest is timm's
    "img_size": 448,
    "patch_size": 16,
    "embed_dim": 768,
    "depth": 12,
    "num_heads": 12,
    "mlp_ratio": 4,
    "dynamic_img_size": True,
}
POOLING: Final[dict[str, int]] = {"width": 512, "heads": 8}


@dataclass(frozen=True)
class Conch(TimmModel):
    """The 512 numbers of CONCH's image tower before they are projected to meet text (Lu et al. 2024).

    A trained query attends to all tokens of the image; what it finds is normalised. The authors advise
    this, without projection and without scaling to length 1, for everything but retrieval by text. The
    weights are gated and may not be used commercially.

    Parameters
    ----------
    window_um
        Side of the tissue seen. The model learned from figures with captions, which have no one scale; at
        112 µm it sees what encoders see that were trained on windows of 224 px at 0.5 µm.
    weights
        A file, a folder, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.

    Notes
    -----
    The input has 448 px, as in the authors' own transform, to which smaller windows are enlarged. Names and
    shapes are those of the authors' modules. Verified: the same numbers as torch's and timm's modules put
    together by hand, on small networks with random weights. Not verified: the numbers of the released
    weights, which were not at hand.
    """

    window_um: float = 112.0
    weights: str = HUB

    cite: ClassVar[str] = "10.1038/s41591-024-02856-4"
    beside: ClassVar[tuple[str, ...]] = (
        "text.", "text_decoder.", "logit_scale",
        "visual.attn_pool_caption.", "visual.ln_caption.", "visual.proj_contrast",
    )  # fmt: skip
    card: ClassVar[Card] = Card(
        name="conch",
        dimension=512,
        source="MahmoodLab/CONCH",
        licence="CC-BY-NC-ND-4.0",
        gated=True,
        cite=cite,
        input_px=448,
        mean=(0.48145466, 0.4578275, 0.40821073),  # CLIP's, as the authors' code sets them
        std=(0.26862954, 0.26130258, 0.27577711),
    )

    def build(self) -> nn.Module:
        """The image tower, under the names of the published file."""
        import torch
        from torch import nn

        tokens, width = TRUNK["embed_dim"], POOLING["width"]
        trunk = need("timm.models.vision_transformer", "images").VisionTransformer(num_classes=0, **TRUNK)
        attention = nn.MultiheadAttention(width, POOLING["heads"], kdim=tokens, vdim=tokens, batch_first=True)
        norms = {"ln_q": nn.LayerNorm(width), "ln_k": nn.LayerNorm(tokens)}
        pool = nn.ModuleDict({"attn": attention, **norms})
        pool.register_parameter("query", nn.Parameter(torch.empty(1, width)))
        parts = {"trunk": trunk, "attn_pool_contrast": pool, "ln_contrast": nn.LayerNorm(width)}
        return nn.ModuleDict({"visual": nn.ModuleDict(parts)})

    def pooled(self, model: nn.Module, x: Tensor) -> Tensor:
        """What the query finds among the tokens, normalised, (b, 3, h, w) → (b, d)."""
        visual: Any = model.get_submodule("visual")
        pool = visual["attn_pool_contrast"]
        tokens = pool["ln_k"](visual["trunk"].forward_features(x))
        query = pool["ln_q"](pool.query).expand(len(x), -1, -1)
        found, _ = pool["attn"](query, tokens, tokens, need_weights=False)
        normalised: Tensor = visual["ln_contrast"](found[:, 0])
        return normalised
