"""Image encoders whose weights were published: what they share, whoever builds the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from triptych.core.protocols import Matrix, Pixels, WindowEncoder
from triptych.encoders import weights as store
from triptych.encoders.card import Card

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class PublishedModel:
    """A model with published weights; a subclass says which, and how it is built.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    weights
        A file, a folder, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    window_um: float = 100.0
    weights: str = store.HUB
    window_px: int = 0

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
        if self.window_px < 0:
            raise ValueError(f"window_px must be at least 1, or 0 for window_um, got {self.window_px}")
        if not self.weights:
            raise ValueError("weights must be a file, a folder, or hub")

    @property
    def tile_px(self) -> int:
        """Side of the arrays received."""
        return self.card.input_px

    @property
    def wanted(self) -> Card:
        """Card of the weights that the parameters ask for."""
        return self.card

    def paths(self) -> tuple[Path, ...]:
        """The files that decide the numbers, that of the weights first.

        Raises
        ------
        WeightsError
            When they cannot be had.
        """
        return (store.find(self.weights, self.wanted, *self.files),)

    def fingerprint(self) -> str:
        """sha256 of the weights, and of what lies beside them where that is read too.

        Raises
        ------
        WeightsError
            When they cannot be had.
        """
        return store.fingerprint(*self.paths())

    def filled(self) -> nn.Module:
        """The model with its weights and without its classifier, on the processor."""
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
            When the library that builds the model is not installed.
        """
        import torch

        model, card = self.filled().to(device), self.wanted
        mean, std = (torch.tensor(c, device=device).view(3, 1, 1) for c in (card.mean, card.std))

        def encode(pixels: Pixels) -> Matrix:
            if not len(pixels):
                return np.empty((0, card.dimension), np.float32)
            with torch.inference_mode():
                x = torch.tensor(pixels, device=device).permute(0, 3, 1, 2).float()
                found: Matrix = self.pooled(model, (x / 255 - mean) / std).float().cpu().numpy()
            return found

        return encode
