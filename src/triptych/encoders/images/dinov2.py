"""DINOv2: a vision transformer that learned from photographs without labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from triptych.core.checks import Faults
from triptych.core.errors import WeightsError
from triptych.encoders.card import Card
from triptych.encoders.images.transformers_model import TransformersModel
from triptych.encoders.weights import HUB

if TYPE_CHECKING:
    from torch import Tensor, nn


class Size(NamedTuple):
    """What differs between the four sizes, by the names of config.json."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    use_swiglu_ffn: bool = False


SIZES: Final = {
    "small": Size(384, 12, 6),
    "base": Size(768, 12, 12),
    "large": Size(1024, 24, 16),
    "giant": Size(1536, 40, 24, use_swiglu_ffn=True),
}
ALIKE: Final[dict[str, Any]] = {  # in all sizes
    "patch_size": 14,
    "num_channels": 3,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
}
LARGEST_PX: Final = 4096


@dataclass(frozen=True)
class Dinov2(TransformersModel):
    """State of DINOv2's class token after the last normalisation (Oquab et al. 2023).

    Parameters
    ----------
    window_um
        Side of the tissue seen; at 112 µm a pixel is 0.5 µm, as for encoders trained on histology.
    weights
        A folder with ``model.safetensors`` (or ``pytorch_model.bin``) and ``config.json``, the file of
        weights in it, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    size
        Which of the four models, of 384, 768, 1 024 and 1 536 numbers. Papers that embed cells with DINOv2
        do not always say; ``base`` is the choice made here.
    pooling
        The class token alone, or followed by the mean of the states of the patches.

    Notes
    -----
    The input has 224 px. The positions of the patches were learned at 518 px in the end and are brought to
    224 px by bicubic interpolation, as transformers does. Verified: the same numbers as transformers, on
    small networks with random weights. Not verified: the numbers of the released weights, which were not
    at hand.
    """

    window_um: float = 112.0
    weights: str = HUB
    window_px: int = 0
    size: Literal["small", "base", "large", "giant"] = "base"
    pooling: Literal["cls", "cls+mean"] = "cls"

    cite: ClassVar[str] = "10.48550/arXiv.2304.07193"
    family: ClassVar[str] = "dinov2"
    kind: ClassVar[str] = "Dinov2"
    repository: ClassVar[str] = "facebook/dinov2-"  # and the size
    registers: ClassVar[int] = 0
    card: ClassVar[Card] = Card(
        name="dinov2",
        dimension=768,
        source="facebook/dinov2-base",
        licence="Apache-2.0",
        gated=False,
        cite=cite,
        input_px=224,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )

    @property
    def wanted(self) -> Card:
        """Card of the weights of the size asked for."""
        width = SIZES[self.size].hidden_size * (1 if self.pooling == "cls" else 2)
        return replace(self.card, dimension=width, source=self.repository + self.size)

    def architecture(self, config: dict[str, Any], path: Path) -> dict[str, Any]:
        """What the model is built with; of config.json, only the side of the images is taken over."""
        sizes = ALIKE | SIZES[self.size]._asdict()
        if self.registers:
            sizes["num_register_tokens"] = self.registers
        faults = Faults(str(path))
        for name, value in {"model_type": self.family, **sizes}.items():
            here = config.get(name, value)
            faults.check(
                here == value, f"{name} is {here}; {self.card.name} of size {self.size} has {value}."
            )
        side = config.get("image_size")
        whole = type(side) is int and ALIKE["patch_size"] <= side <= LARGEST_PX
        faults.check(whole, f"image_size should be from 14 to {LARGEST_PX} px, got {side}.")
        faults.raise_if_any(WeightsError, self._hint(config))
        return {**sizes, "image_size": side}

    def _hint(self, config: dict[str, Any]) -> str:
        alike = config.get("model_type") == self.family
        for size, entries in SIZES.items():
            if alike and size != self.size and entries._asdict().items() <= config.items():
                return f"Set size to {size}."
        return "It is of another model, or damaged."

    def pooled(self, model: nn.Module, x: Tensor) -> Tensor:
        """The class token's state, (b, 3, h, w) → (b, d), and the mean over patches where asked for."""
        import torch

        states: Tensor = model(pixel_values=x).last_hidden_state  # class, registers, patches
        if self.pooling == "cls":
            return states[:, 0]
        return torch.cat([states[:, 0], states[:, 1 + self.registers :].mean(dim=1)], dim=1)
