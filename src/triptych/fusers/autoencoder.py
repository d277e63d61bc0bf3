"""An autoencoder of all views together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from triptych.fusers.encoding import Encoding


@dataclass(frozen=True)
class Autoencoder(Encoding):
    """Encode the views, side by side, so that they can be given back from a code of few dimensions.

    Encoder d – hidden – latent with ReLU between the layers and a linear code; the decoder mirrors it. The
    loss is the mean squared error of inputs whose mean ‖x‖²/d is 1. All layers are trained together;
    `sdae` teaches them one by one first.

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
    epochs
        Passes over the data.
    least_steps
        Steps that training takes at least, so that it is as long in a small study.
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

    cite: ClassVar[str] = "10.1126/science.1127647"
    fuser: ClassVar[Literal["autoencoder"]] = "autoencoder"
