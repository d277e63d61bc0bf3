"""What the autoencoders of crops have in common: what they look at, how wide they are, how they learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from triptych.nets.vae import Shape
    from triptych.nets.vae_training import Settings

LEAST_BATCH = 3  # so that no part of an epoch is a single crop, which has no variance to be normalised by


@dataclass(frozen=True)
class VaePlan:
    """The parameters of `spot-vae`, `stain-vae` and `dual-vae`, where they are described.

    Parameters
    ----------
    name
        Of the encoder.
    sees
        ``molecules``, ``stains`` or both.
    crop_px, molecules, least_transcripts, spot_px, stains
        What it looks at.
    channels, stain_channels, latent
        Widths of the network.
    dice, focal, smooth, gamma, alpha, gene_weights, beta
        The loss.
    lr, batch, epochs, eps, decay
        Training.
    output
        What a code is.
    """

    name: str
    sees: tuple[Literal["molecules", "stains"], ...]
    crop_px: int
    channels: tuple[int, ...]
    stain_channels: tuple[int, ...]
    latent: int
    beta: float
    lr: float
    batch: int
    epochs: int
    eps: float
    decay: float
    output: Literal["mean", "mean-and-sigma"]
    stains: tuple[str, ...] = ()
    molecules: Literal["all", "own"] = "all"
    least_transcripts: int = 1
    spot_px: int = 1
    dice: float = 1.0
    focal: float = 0.0
    smooth: float = 1.0
    gamma: float = 2.0
    alpha: float = 0.25
    gene_weights: bool = False

    def __post_init__(self) -> None:
        from triptych.nets.vae_shape import smallest

        if len(self.channels) != len(self.stain_channels):
            raise ValueError("channels and stain_channels must name as many blocks")
        if not self.channels or min(*self.channels, *self.stain_channels) < 1:
            raise ValueError("channels must name at least one block, each of at least 1 channel")
        if self.crop_px < smallest(len(self.channels)):
            raise ValueError(
                f"crop_px must be at least {smallest(len(self.channels))} for {len(self.channels)} blocks, "
                f"not {self.crop_px}"
            )
        if self.spot_px < 1 or self.spot_px % 2 == 0:
            raise ValueError(
                f"spot_px must be odd and at least 1, not {self.spot_px}: others shift by half a pixel"
            )
        if self.batch < LEAST_BATCH:
            raise ValueError(f"batch must be at least {LEAST_BATCH}, not {self.batch}")
        for name in ("latent", "epochs", "least_transcripts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        self._check_rates()

    def _check_rates(self) -> None:
        for name in ("lr", "eps"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("dice", "focal", "gamma", "beta", "decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be in [0, 1], not {self.alpha}")
        if not 0 < self.smooth < float("inf"):
            raise ValueError(f"smooth must be positive, not {self.smooth}")
        if self.dice == 0 and self.focal == 0:
            raise ValueError("dice and focal are both 0: nothing is left to learn")

    def shape(self, genes: int, stains: int) -> Shape:
        """Of the network for so many genes and stains."""
        from triptych.nets.vae import Shape

        return Shape(self.crop_px, genes, stains, self.channels, self.stain_channels, self.latent)

    def settings(self) -> Settings:
        """Of its training."""
        from triptych.nets.vae_losses import SpotWeights
        from triptych.nets.vae_training import Settings

        weights = SpotWeights(self.dice, self.focal, self.smooth, self.gamma, self.alpha)
        return Settings(
            self.spot_px, weights, self.gene_weights, self.beta, self.batch, self.epochs, self.lr, self.eps,
            self.decay,
        )  # fmt: skip
