"""Phikon-v2: DINOv2 trained on 460 million windows of histology."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from triptych.core.checks import Faults
from triptych.core.errors import WeightsError
from triptych.encoders.card import Card
from triptych.encoders.images.transformers_model import TransformersModel
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE: Final[dict[str, Any]] = {  # by the names of config.json
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 16,  # DINOv2's own models have 14
    "num_channels": 3,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
    "use_swiglu_ffn": False,
}
LARGEST_PX: Final = 4096


@dataclass(frozen=True)
class PhikonV2(TransformersModel):
    """State of Phikon-v2's class token after the last normalisation (Filiot et al. 2024).

    The weights are open to all, but may not be used commercially.

    Parameters
    ----------
    window_um
        Side of the tissue seen; at 112 µm a pixel is 0.5 µm, as in training.
    weights
        A folder with ``model.safetensors`` (or ``pytorch_model.bin``) and ``config.json``, the file of
        weights in it, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    window_um: float = 112.0
    weights: str = HUB

    cite: ClassVar[str] = "10.48550/arXiv.2409.09173"
    family: ClassVar[str] = "dinov2"
    kind: ClassVar[str] = "Dinov2"
    card: ClassVar[Card] = Card(
        name="phikon-v2",
        dimension=1024,
        source="owkin/phikon-v2",
        licence="Owkin non-commercial",  # LICENSE.pdf beside the weights; the hub says "other"
        gated=False,
        cite=cite,
        input_px=224,
        mpp=0.5,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )

    def architecture(self, config: dict[str, Any], path: Path) -> dict[str, Any]:
        """What the model is built with; of config.json, only the side of the images is taken over."""
        faults = Faults(str(path))
        for name, value in {"model_type": self.family, **ARCHITECTURE}.items():
            here = config.get(name, value)
            faults.check(here == value, f"{name} is {here}; {self.card.name} has {value}.")
        side, patch = config.get("image_size"), ARCHITECTURE["patch_size"]
        whole = type(side) is int and patch <= side <= LARGEST_PX
        faults.check(whole, f"image_size should be from {patch} to {LARGEST_PX} px, got {side}.")
        faults.raise_if_any(WeightsError, "It is of another model, or damaged.")
        return {**ARCHITECTURE, "image_size": side}

    def pooled(self, model: nn.Module, x: Tensor) -> Tensor:
        """The class token's state, (b, 3, h, w) → (b, d)."""
        states: Tensor = model(pixel_values=x).last_hidden_state
        return states[:, 0]
