"""A stacked denoising autoencoder of all views together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from triptych.fusers.encoding import Encoding

if TYPE_CHECKING:
    from triptych.nets.autoencoder import Settings


@dataclass(frozen=True)
class Sdae(Encoding):
    """Teach the layers of an autoencoder one by one to undo noise, then all of them together without it.

    Encoder d – hidden – latent with ReLU between the layers and a linear code; the decoder mirrors it. Each
    layer learns to give back what it is fed from a copy in which values were set to 0 at random, and so what
    values have to do with each other; the layers below it stay as they are. Fine-tuning, and the scale of
    the inputs, are those of `autoencoder`.

    Parameters
    ----------
    latent
        Dimension of the code.
    hidden
        Widths of the layers of the encoder.
    standardise
        Whether to bring each column to variance 1 first. Views that were scaled before, such as those of
        `concat`, keep their balance only without it.
    balance
        Whether views count equally whatever their dimensions. Off, every column counts the same.
    weights
        By role; multiplies the view. A role that is not named has weight 1.
    clip
        Largest size of a standardised value, as a gene seen in a few cells has some in the hundreds;
        0 for no limit.
    corruption
        Part of the values that are set to 0, in the input and in the code of each layer.
    pretraining
        Passes over the data for each layer.
    epochs
        Passes over the data for all layers together.
    least_steps
        Steps that each of these takes at least, so that training is as long in a small study.
    batch
        Observations per step, at most.
    optimiser
        ``adam``, or ``sgd`` with momentum 0.9 (in the paper with a rate of 0.1).
    lr
        Its learning rate.

    Notes
    -----
    A sparse view stays sparse: rows are made dense a batch at a time.
    """

    corruption: float = 0.2
    pretraining: int = 5

    cite: ClassVar[str] = "10.5555/1756006.1953039"
    fuser: ClassVar[Literal["sdae"]] = "sdae"

    def __post_init__(self) -> None:
        if not 0 <= self.corruption < 1:
            raise ValueError(f"corruption must be in [0, 1), not {self.corruption}")
        if self.pretraining < 1:
            raise ValueError("pretraining must be at least 1; without it this is the fuser autoencoder")
        super().__post_init__()

    def settings(self) -> Settings:
        """How to build and train the network: layer by layer from corrupted copies first."""
        return replace(super().settings(), corruption=self.corruption, pretraining=self.pretraining)
