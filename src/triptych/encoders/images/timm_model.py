"""Image encoders whose model timm builds and whose weights were published: what they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from triptych.core.extras import need
from triptych.core.protocols import Matrix, Pixels, WindowEncoder
from triptych.encoders import weights as store
from triptych.encoders.card import Card

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TimmModel:
    """A model of timm with published weights; a subclass says which.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    weights
        A file, a folder, or ``hub``.
    """

    window_um: float = 100.0
    weights: str = store.HUB

    takes: ClassVar[Literal["windows"]] = "windows"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""
    card: ClassVar[Card]
    files: ClassVar[tuple[str, ...]] = ("model.safetensors", "pytorch_model.bin")
    beside: ClassVar[tuple[str, ...]] = ()  # parts of the published weights that features do not need

    def __post_init__(self) -> None:
        if not (math.isfinite(self.window_um) and self.window_um > 0):
            raise ValueError(f"window_um must be positive, got {self.window_um}")
        if not self.weights:
            raise ValueError("weights must be a file, a folder, or hub")

    @property
    def tile_px(self) -> int:
        """Side of the arrays received."""
        return self.card.input_px

    def fingerprint(self) -> str:
        """sha256 of the weights.

        Raises
        ------
        WeightsError
            When they cannot be had.
        """
        return store.fingerprint(store.find(self.weights, self.card, *self.files))

    def build(self) -> nn.Module:
        """The model without its classifier."""
        raise NotImplementedError

    def pooled(self, model: nn.Module, x: Tensor) -> Tensor:
        """Features of normalised windows, (b, 3, h, w) → (b, d)."""
        features: Tensor = model(x)
        return features

    def load(self, device: str) -> WindowEncoder:
        """The function (b, h, w, 3) → (b, d), float32.

        Parameters
        ----------
        device
            Where torch computes, e.g. ``cpu`` or ``cuda``.

        Raises
        ------
        WeightsError
            When the weights cannot be had, are damaged or do not fit.
        MissingExtraError
            When timm is not installed.
        """
        import torch

        need("timm", "images")  # first, as what it makes when imported must not be made on "meta"
        path = store.find(self.weights, self.card, *self.files)
        with torch.device("meta"):  # takes no memory, no time and no random numbers
            model = self.build()
        store.fill(model, store.read(path), path, beside=self.beside)
        model.to(device)
        mean, std = (torch.tensor(c, device=device).view(3, 1, 1) for c in (self.card.mean, self.card.std))

        def encode(pixels: Pixels) -> Matrix:
            if not len(pixels):
                return np.empty((0, self.card.dimension), np.float32)
            with torch.inference_mode():
                x = torch.tensor(pixels, device=device).permute(0, 3, 1, 2).float()
                found: Matrix = self.pooled(model, (x / 255 - mean) / std).float().cpu().numpy()
            return found

        return encode


def created(architecture: str, **arguments: Any) -> nn.Module:
    """A model of timm without its classifier.

    Raises
    ------
    MissingExtraError
        When timm is not installed.
    """
    model: nn.Module = need("timm", "images").create_model(architecture, num_classes=0, **arguments)
    return model
