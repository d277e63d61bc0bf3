"""An autoencoder of molecules and stains around each cell."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from triptych.encoders.crops.vae_fitted import CropVae
from triptych.encoders.crops.vae_plan import VaePlan


@dataclass(frozen=True)
class DualVae(CropVae):
    """Encode molecules and stains around each cell in one code, from which both can be drawn again.

    One encoder sees the planes of all genes and the channels of all stains; two decoders give them back. The
    loss is that of `spot-vae` plus that of `stain-vae`. Published as VAE5, and as VAE3 and VAE4 with one of
    two stains.

    Parameters
    ----------
    crop_px
        Side of the crop.
    stains
        Channels; ``-NAME`` leaves one out, none named are all that the data have.
    molecules
        ``all`` that lie in the crop, or the cell's ``own``.
    least_transcripts
        Genes with fewer molecules in all sections together are left out.
    spot_px
        Side of the square that a molecule becomes, odd.
    gene_weights
        Whether rare genes count as much as frequent ones.
    dice
        Weight of the Dice loss.
    focal
        Weight of the focal loss.
    smooth
        Added to numerator and denominator of Dice.
    gamma
        Power of the focal loss; 0 is cross-entropy.
    alpha
        Weight in the focal loss of pixels that are 1; the others have 1 − alpha.
    channels
        After each block of the encoder; the decoder of molecules mirrors them.
    stain_channels
        Of the decoder of stains, in the same order and as many.
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
    The same seed gives the same bits on a CPU with as many threads. Genes that a batch does not hold cost
    nothing while ``gene_weights`` are on.
    """

    crop_px: int = 200
    stains: tuple[str, ...] = ()
    molecules: Literal["all", "own"] = "all"
    least_transcripts: int = 100
    spot_px: int = 5
    gene_weights: bool = False
    dice: float = 0.8
    focal: float = 0.4
    smooth: float = 1.0
    gamma: float = 2.0
    alpha: float = 0.25
    channels: tuple[int, ...] = (240,) * 5
    stain_channels: tuple[int, ...] = (4, 8, 16, 32, 64)
    latent: int = 50
    beta: float = 0.0
    lr: float = 5e-4
    batch: int = 20
    epochs: int = 30
    eps: float = 1e-6
    decay: float = 1e-5
    output: Literal["mean", "mean-and-sigma"] = "mean"

    takes: ClassVar[Literal["crops"]] = "crops"
    sees: ClassVar[frozenset[str]] = frozenset({"molecules", "stains"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.48550/arXiv.1312.6114"  # variational autoencoders

    def __post_init__(self) -> None:
        self.plan()

    def plan(self) -> VaePlan:
        """All parameters in one form."""
        return VaePlan(
            name="dual-vae", sees=("molecules", "stains"),
            **{field.name: getattr(self, field.name) for field in fields(self)},
        )  # fmt: skip
