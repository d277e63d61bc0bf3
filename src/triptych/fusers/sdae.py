"""A stacked denoising autoencoder of all views together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from triptych.core.models import Fit
from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_weights
from triptych.fusers.encoded import FittedEncoder, Scale, check_network, fit_encoder


@dataclass(frozen=True)
class Sdae:
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

    latent: int = 32
    hidden: tuple[int, ...] = (500, 500, 2000)
    standardise: bool = True
    balance: bool = False
    weights: dict[str, float] = field(default_factory=dict, hash=False)
    clip: float = 10.0
    corruption: float = 0.2
    pretraining: int = 5
    epochs: int = 10
    least_steps: int = 500
    batch: int = 256
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    encodes: ClassVar[bool] = True
    cite: ClassVar[str] = "10.5555/1756006.1953039"

    def __post_init__(self) -> None:
        if not 0 <= self.corruption < 1:
            raise ValueError(f"corruption must be in [0, 1), not {self.corruption}")
        if self.pretraining < 1:
            raise ValueError("pretraining must be at least 1; without it this is the fuser autoencoder")
        check_weights(self.weights)
        check_network(
            hidden=self.hidden,
            latent=self.latent,
            epochs=self.epochs,
            least_steps=self.least_steps,
            batch=self.batch,
            lr=self.lr,
            clip=self.clip,
        )

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Learn to encode the views, and encode them.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.
        rng
            Draws weights, batches and corruption.

        Returns
        -------
        Single precision, shape (n, latent).

        Raises
        ------
        DataError
            When views do not fit together, or nothing in them varies.
        NumericsError
            When the loss is not finite.
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedEncoder]:
        """Learn to encode the views, and keep the encoder.

        Parameters
        ----------
        views, places, rng
            As for `fuse`.

        Raises
        ------
        DataError
            When views do not fit together, or nothing in them varies.
        NumericsError
            When the loss is not finite.
        """
        from triptych.nets.autoencoder import Settings

        settings = Settings(
            hidden=self.hidden,
            latent=self.latent,
            corruption=self.corruption,
            pretraining=self.pretraining,
            epochs=self.epochs,
            least_steps=self.least_steps,
            batch=self.batch,
            optimiser=self.optimiser,
            lr=self.lr,
        )
        scale = Scale(self.standardise, self.balance, self.weights, self.clip)
        return fit_encoder("sdae", views, places, rng, scale=scale, settings=settings)

    def restore(self, folder: Path) -> FittedEncoder:
        """Read the model that was saved in a folder."""
        return FittedEncoder.load(folder)
