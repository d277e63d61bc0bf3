"""A fitted grid-triplet: applies to sections it has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from triptych.core.models import Saved
from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_roles
from triptych.fusers.grid_triplet import GridTriplet, beside, check, gather, scale, threads_for

if TYPE_CHECKING:
    from triptych.nets.grid import Encoder, Statistics

MEAN, VARIANCE = "statistics.mean", "statistics.variance"  # beside the weights of the encoder


class OfGrid(Saved):
    """What fitted auto-encoders of windows share: a check of their arrays, and the network from them."""

    component: Any
    roles: dict[str, int]
    ranges: NDArray[np.float64]
    network: dict[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        channels = sum(self.roles.values())
        if self.ranges.shape != (2, channels):
            raise ValueError(f"its ranges have shape {self.ranges.shape}; its views have {channels} columns")
        try:
            self.encoder()
        except RuntimeError as error:  # torch's word for weights of another network
            raise ValueError(f"its weights do not fit its parameters: {error}") from error

    def encoder(self) -> tuple[Encoder, Statistics]:
        """The network, on the CPU, and its statistics; a copy of its own for each call."""
        import torch

        from triptych.nets.grid import Encoder

        shape = self.component.shape(sum(self.roles.values()))
        weights = {name: torch.from_numpy(value.copy()) for name, value in self.network.items()}
        width = shape.members * shape.hidden
        statistics = (weights.pop(MEAN).reshape(width), weights.pop(VARIANCE).reshape(width))
        encoder = Encoder(shape, torch.Generator().manual_seed(0)).requires_grad_(requires_grad=False)
        encoder.load_state_dict(weights)
        return encoder, statistics


@dataclass(frozen=True, eq=False)
class FittedGridTriplet(OfGrid):
    """What `GridTriplet.fit` learned.

    Parameters
    ----------
    component
        With which parameters.
    roles
        Dimensions of each view, in the order of their channels.
    ranges
        Least and greatest value of each channel, shape (2, sum of d).
    network
        Weights of the encoder by name, with the mean and variance of the channels of its convolution.
    losses
        By epoch.
    dropout_seed
        Of the passes with dropout, when there are any.
    """

    component: GridTriplet
    roles: dict[str, int]
    ranges: NDArray[np.float64]
    network: dict[str, NDArray[np.float32]]
    losses: tuple[float, ...]
    dropout_seed: int

    def apply(self, views: Mapping[str, Array], places: Places, *, device: str = "cpu") -> Matrix:
        """Codes of observations, with the ranges and the network of the fit.

        Parameters
        ----------
        views
            The same roles and dimensions as in the fit, each of shape (n, d).
        places
            Where the n observations lie.
        device
            Of torch.

        Returns
        -------
            Shape (n, latent).

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        import torch

        from triptych.nets.grid_training import embed

        check_roles("grid-triplet", views, len(places.um), self.roles)
        check(views, places, {})
        component = self.component
        windows = gather(
            scale(beside(views), self.ranges),
            places,
            window=component.window,
            lattice=component.lattice,
            device=device,
        )
        encoder, (mean, variance) = self.encoder()
        with threads_for(windows):
            return embed(
                encoder.to(device),
                (mean.to(device), variance.to(device)),
                windows,
                passes=component.monte_carlo,
                dropout=component.dropout,
                generator=torch.Generator(device).manual_seed(self.dropout_seed),
            )


def to_arrays(encoder: Encoder, statistics: Statistics) -> dict[str, NDArray[np.float32]]:
    """Weights and statistics of a network as arrays, by name."""
    named = encoder.state_dict() | dict(zip((MEAN, VARIANCE), statistics, strict=True))
    return {name: np.array(value.detach().cpu().numpy()) for name, value in named.items()}
