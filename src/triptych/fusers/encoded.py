"""What `autoencoder` and `sdae` share: how views become inputs, and the fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from triptych.core.errors import DataError
from triptych.core.models import Fit
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.core.randomness import torch_generator
from triptych.fusers.balance import check_roles, check_views
from triptych.maths.threads import threads_for
from triptych.nets.autoencoder_inputs import Inputs, moments, scaled
from triptych.nets.autoencoder_saved import WithEncoder

if TYPE_CHECKING:
    from triptych.nets.autoencoder import Settings


@dataclass(frozen=True, eq=False)
class FittedEncoder(WithEncoder):
    """The encoder that `autoencoder` or `sdae` learned; `dec` can start from it.

    Parameters
    ----------
    fuser
        Its name.
    roles
        Dimension d of each view, in the order of their columns.
    mean, deviation
        Of each column, shape (sum of d,); deviation 0 marks one that was constant.
    factor
        What multiplies each standardised column, shape (sum of d,).
    clip
        Largest size of a standardised value; 0 for no limit.
    network
        Weights and biases of the encoder by name.
    losses
        Of reconstruction by epoch of fine-tuning; the inputs themselves have mean square 1.
    """

    fuser: Literal["autoencoder", "sdae"]
    roles: dict[str, int]
    mean: Vector
    deviation: Vector
    factor: Vector
    clip: float
    network: dict[str, NDArray[np.float32]]
    losses: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(self.roles.values()) != len(self.mean):
            raise ValueError(f"its views have {sum(self.roles.values())} columns, its scale {len(self.mean)}")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Encode other views, on the scales of the fit.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Single precision, shape (n, latent).

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        check_roles(self.fuser, views, len(places.um), self.roles)
        with threads_for(len(places.um)):
            return self.codes([views[role] for role in self.roles])


@dataclass(frozen=True)
class Scale:
    """How views become inputs.

    Parameters
    ----------
    standardise
        Whether to bring each column to variance 1; it is centred in any case.
    balance
        Whether views count equally whatever their dimensions.
    weights
        By role; multiplies the view.
    clip
        Largest size of a value before it is multiplied; 0 for no limit.
    """

    standardise: bool
    balance: bool
    weights: Mapping[str, float]
    clip: float

    def inputs(self, fuser: str, views: Mapping[str, Array]) -> Inputs:
        """Views in the order of their names, scaled so that the mean of ‖x‖²/d is 1.

        Raises
        ------
        DataError
            When no column varies, or only columns of weight 0 do.
        """
        ordered = tuple(views[role] for role in sorted(views))
        mean, deviation = moments(ordered)
        variance = (deviation > 0).astype(np.float64) if self.standardise else deviation**2
        inputs = scaled(
            ordered, mean, deviation,
            weight=self._weights(views, variance), standardise=self.standardise, clip=self.clip,
        )  # fmt: skip
        if not inputs.factor.any():
            raise DataError(f"{fuser}: no column of the views varies.", "Name other views in its reads.")
        return inputs

    def _weights(self, views: Mapping[str, Array], variance: Vector) -> Vector:
        """Weight of each column, view by view."""
        names, at, found = sorted(views), 0, list[Vector]()
        for role in names:
            columns = views[role].shape[1]
            total = float(variance[at : at + columns].sum())
            equal = np.sqrt(total) if self.balance and len(names) > 1 and total else 1.0
            found.append(np.full(columns, self.weights.get(role, 1.0) / equal))
            at += columns
        return np.concatenate(found)


def fit_encoder(
    fuser: Literal["autoencoder", "sdae"],
    views: Mapping[str, Array],
    places: Places,
    rng: np.random.Generator,
    *,
    scale: Scale,
    settings: Settings,
) -> Fit[Matrix, FittedEncoder]:
    """Learn to encode views.

    Parameters
    ----------
    fuser
        Its name.
    views, places, rng
        As of the fuser.
    scale
        How views become inputs.
    settings
        How to build and train the network.

    Returns
    -------
    Codes of shape (n, latent), and the model.
    """
    from triptych.nets.autoencoder import fit_autoencoder, to_arrays

    check_views(fuser, views, len(places.um), scale.weights)
    inputs = scale.inputs(fuser, views)
    with threads_for(len(inputs)):
        encoder, _, losses = fit_autoencoder(inputs, settings, torch_generator(rng), label=fuser)
    model = FittedEncoder(
        fuser=fuser,
        roles={role: views[role].shape[1] for role in sorted(views)},
        mean=inputs.mean,
        deviation=inputs.deviation,
        factor=inputs.factor,
        clip=inputs.clip,
        network=to_arrays(encoder),
        losses=tuple(losses),
    )
    return Fit(model.apply(views, places), model)
