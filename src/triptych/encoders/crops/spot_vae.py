"""An autoencoder of the molecules around each cell."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from triptych.encoders.crops.vae_fitted import CropVae
from triptych.encoders.crops.vae_plan import VaePlan


@dataclass(frozen=True)
class SpotVae(CropVae):
    """Encode where the molecules of each gene lie, so that they can be drawn again.

    Each gene is a binary plane; the network is convolutional and of blocks of stride 2. The loss compares the
    planes by Dice and focal loss, gene by gene over a batch; crops are turned by quarters while training. A
    code is the mean of its distribution, of the crop as it stands. Published with 241 genes as VAE1; the
    powers of the focal loss and Dice's smoothing, which are not given there, are those of Lin et al. 2017,
    and 1.

    Parameters
    ----------
    crop_px
        Side of the crop.
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
    The same seed gives the same bits on a CPU with as many threads. Genes that a batch does not hold cost
    nothing while ``gene_weights`` are on.
    """

    crop_px: int = 100
    molecules: Literal["all", "own"] = "all"
    least_transcripts: int = 1
    spot_px: int = 5
    gene_weights: bool = True
    dice: float = 1.0
    focal: float = 0.2
    smooth: float = 1.0
    gamma: float = 2.0
    alpha: float = 0.25
    channels: tuple[int, ...] = (115,) * 5
    latent: int = 50
    beta: float = 0.0
    lr: float = 5e-4
    batch: int = 8
    epochs: int = 15
    eps: float = 1e-8
    decay: float = 0.0
    output: Literal["mean", "mean-and-sigma"] = "mean"

    takes: ClassVar[Literal["crops"]] = "crops"
    sees: ClassVar[frozenset[str]] = frozenset({"molecules"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.48550/arXiv.1312.6114"  # variational autoencoders

    def __post_init__(self) -> None:
        self.plan()

    def plan(self) -> VaePlan:
        """All parameters in one form."""
        return VaePlan(
            name="spot-vae", sees=("molecules",), stain_channels=self.channels,
            **{field.name: getattr(self, field.name) for field in fields(self)},
        )  # fmt: skip
