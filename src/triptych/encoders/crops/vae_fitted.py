"""Autoencoders of crops: how each is fitted, and what it has learned."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from triptych.core.models import Fit, Saved
from triptych.core.protocols import Crops, Matrix
from triptych.core.randomness import seed_from
from triptych.core.settings import device
from triptych.encoders.crops import vae_door as door
from triptych.encoders.crops.vae_plan import VaePlan
from triptych.maths.crops import Cropper, asked_for
from triptych.maths.threads import one_thread

FEW: Final = (
    2**22
)  # pixels of all crops below which one thread is used, so that the result never depends on them


@dataclass(frozen=True, eq=False)
class FittedVae(Saved):
    """A network, and what it expects to see.

    Parameters
    ----------
    plan
        How it was made.
    genes, stains
        Of the fit, in the order of its planes.
    mpp
        Micrometres per pixel of the fit; None where unknown.
    network
        Weights and running statistics by name.
    losses
        By epoch: ``total``, and its terms before they are weighted.
    pictures
        Some crops of the fit beside their reconstruction: by stain, and ``transcripts`` (the largest over
        genes), each of shape (k, 2, side, side).
    """

    plan: VaePlan
    genes: tuple[str, ...]
    stains: tuple[str, ...]
    mpp: float | None
    network: dict[str, NDArray[np.float32]]
    losses: dict[str, NDArray[np.float64]]
    pictures: dict[str, NDArray[np.uint8]]

    def __post_init__(self) -> None:
        from triptych.nets.vae import from_arrays

        from_arrays(self.network, self.plan.shape(len(self.genes), len(self.stains)))

    def apply(self, crops: Crops) -> Matrix:
        """Encode crops, without chance.

        Parameters
        ----------
        crops
            Of m cells; genes and stains are found by name, absent genes are empty planes.

        Returns
        -------
        Codes in single precision, shape (m, latent), or (m, 2 · latent) with σ.

        Warns
        -----
        TriptychWarning
            When crops cut cells, or reach beyond the image.

        Raises
        ------
        DataError
            When stains or more than half of the genes are missing, or pixels are of another size.
        """
        door.check_apply(crops, self.plan, self.genes, self.stains, mpp=self.mpp)
        cropper = _cropper(crops, self.plan, np.array(self.genes, np.str_), self.stains)
        door.tell(cropper.counted(), self.plan)
        return self._encode(cropper)

    def _encode(self, cropper: Cropper) -> Matrix:
        from triptych.nets.vae import from_arrays
        from triptych.nets.vae_training import encode

        plan = self.plan
        network = from_arrays(self.network, plan.shape(len(self.genes), len(self.stains))).to(device())
        with one_thread():
            return encode(
                network, cropper, plan.settings(), sigma=plan.output == "mean-and-sigma", label=plan.name
            )


class CropVae(Protocol):
    """The base of frozen dataclasses that have a plan."""

    def plan(self) -> VaePlan:
        """All parameters in one form."""

    def encode(self, crops: Crops, rng: np.random.Generator) -> Matrix:
        """Fit on the crops and encode them.

        Parameters
        ----------
        crops
            Of n cells.
        rng
            Draws weights, batches, turns and codes.

        Returns
        -------
        Codes in single precision, shape (n, latent), or (n, 2 · latent) with σ.
        """
        return self.fit(crops, rng).value

    def fit(self, crops: Crops, rng: np.random.Generator) -> Fit[Matrix, FittedVae]:
        """Learn a network.

        Parameters
        ----------
        crops, rng
            As of `encode`.

        Returns
        -------
        Codes of shape (n, latent), or (n, 2 · latent) with σ, and the model.

        Warns
        -----
        TriptychWarning
            When crops cut cells, or reach beyond the image.

        Raises
        ------
        DataError
            When there are fewer than two cells, or nothing to be seen in the crops.
        NumericsError
            When the loss is not finite.
        """
        return _fit(self.plan(), crops, rng)

    def restore(self, folder: Path) -> FittedVae:
        """Read a model that was saved."""
        return FittedVae.load(folder)


def _fit(plan: VaePlan, crops: Crops, rng: np.random.Generator) -> Fit[Matrix, FittedVae]:
    import torch

    from triptych.nets.vae import to_arrays
    from triptych.nets.vae_training import fit_vae, pictures

    door.check_fit(crops, plan)
    genes = door.kept_genes(crops, plan)
    stains = asked_for(plan.stains, crops.stains) if "stains" in plan.sees else ()
    cropper = _cropper(crops, plan, genes, stains)
    counting = cropper.counted()
    door.check_content(cropper, plan, counting)
    door.tell(counting, plan)
    generator, settings = torch.Generator(device()).manual_seed(seed_from(rng)), plan.settings()
    with _threads_for(cropper):
        network, losses = fit_vae(
            cropper, plan.shape(len(genes), len(stains)), settings, generator, label=plan.name
        )
        shown = pictures(network, cropper, settings, stains)
    model = FittedVae(
        plan, tuple(map(str, genes)), stains, door.pixel_size(crops), to_arrays(network), losses, shown
    )
    return Fit(model._encode(cropper), model)


def _cropper(crops: Crops, plan: VaePlan, genes: NDArray[np.str_], stains: tuple[str, ...]) -> Cropper:
    return Cropper(crops, plan.crop_px, molecules=plan.molecules, genes=genes, stains=stains)


def _threads_for(cropper: Cropper) -> AbstractContextManager[None]:
    return one_thread() if cropper.n * cropper.side_px**2 < FEW else nullcontext()
