"""An autoencoder of the stains around each cell."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from triptych.encoders.crops.vae_fitted import CropVae
from triptych.encoders.crops.vae_plan import VaePlan


@dataclass(frozen=True)
class StainVae(CropVae):
    """Encode the stains around each cell so that they can be painted again.

    Each channel of each crop is brought to 0 … 1 by its own least and largest value, a constant one to 0. The
    network is convolutional and of blocks of stride 2; the loss is the mean squared error. Crops are turned
    by quarters while training; a code is the mean of its distribution, of the crop as it stands. Published as
    VAE2.

    Parameters
    ----------
    crop_px
        Side of the crop.
    stains
        Channels; ``-NAME`` leaves one out, none named are all that the data have.
    channels
        After each block of the encoder; the decoder mirrors them.
    latent
        Dimension of the code.
    beta
        Weight of the divergence from the unit normal; 0, as published, leaves it out.
    lr
        Learning rate of Adam.
    batch
        Crops per step, at most.
    epochs
        Passes over the crops.
    eps
        Added to the denominator of Adam's steps.
    decay
        Weight decay of Adam.
    output
        ``mean``, or ``mean-and-sigma`` for the width of the code's distribution beside it.

    Notes
    -----
    The same seed gives the same bits on a CPU with as many threads.
    """

    crop_px: int = 300
    stains: tuple[str, ...] = ()
    channels: tuple[int, ...] = (4, 8, 12, 24, 48)
    latent: int = 50
    beta: float = 0.0
    lr: float = 5e-5
    batch: int = 16
    epochs: int = 500
    eps: float = 1e-8
    decay: float = 0.0
    output: Literal["mean", "mean-and-sigma"] = "mean"

    takes: ClassVar[Literal["crops"]] = "crops"
    sees: ClassVar[frozenset[str]] = frozenset({"stains"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.48550/arXiv.1312.6114"  # variational autoencoders

    def __post_init__(self) -> None:
        self.plan()

    def plan(self) -> VaePlan:
        """All parameters in one form."""
        return VaePlan(
            name="stain-vae", sees=("stains",), stain_channels=self.channels,
            **{field.name: getattr(self, field.name) for field in fields(self)},
        )  # fmt: skip
