"""What the fusers `autoencoder` and `sdae` share: everything but how the layers are taught first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from triptych.core.models import Fit
from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_weights
from triptych.fusers.encoded import FittedEncoder, Scale, fit_encoder

if TYPE_CHECKING:
    from triptych.nets.autoencoder import Settings


@dataclass(frozen=True)
class Encoding:
    """An autoencoder of all views together; a subclass says how its layers are taught, and documents all.

    Parameters
    ----------
    latent, hidden, standardise, balance, weights, clip, epochs, least_steps, batch, optimiser, lr
        As of `triptych.fusers.autoencoder.Autoencoder`.
    """

    latent: int = 32
    hidden: tuple[int, ...] = (500, 500, 2000)
    standardise: bool = True
    balance: bool = False
    weights: dict[str, float] = field(default_factory=dict, hash=False)
    clip: float = 10.0
    epochs: int = 10
    least_steps: int = 500
    batch: int = 256
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    encodes: ClassVar[bool] = True
    cite: ClassVar[str] = ""
    fuser: ClassVar[Literal["autoencoder", "sdae"]]

    def __post_init__(self) -> None:
        check_weights(self.weights)
        if min((*self.hidden, self.latent, self.epochs, self.batch)) < 1:
            raise ValueError("hidden, latent, epochs and batch must be at least 1")
        if self.least_steps < 0 or not self.clip >= 0:
            raise ValueError("least_steps and clip must not be negative")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be positive, not {self.lr}")

    def settings(self) -> Settings:
        """How to build and train the network: all layers together from the start."""
        from triptych.nets.autoencoder import Settings

        return Settings(
            hidden=self.hidden,
            latent=self.latent,
            corruption=0.0,
            pretraining=0,
            epochs=self.epochs,
            least_steps=self.least_steps,
            batch=self.batch,
            optimiser=self.optimiser,
            lr=self.lr,
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
        scale = Scale(self.standardise, self.balance, self.weights, self.clip)
        return fit_encoder(self.fuser, views, places, rng, scale=scale, settings=self.settings())

    def restore(self, folder: Path) -> FittedEncoder:
        """Read the model that was saved in a folder."""
        return FittedEncoder.load(folder)
