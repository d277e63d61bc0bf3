"""A fitted grid-joint: embeds sections of batches it has never met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_roles
from triptych.fusers.grid_fitted import OfGrid
from triptych.fusers.grid_joint import GridJoint, check
from triptych.fusers.grid_triplet import gather, scale, threads_for

if TYPE_CHECKING:
    from triptych.nets.grid_training import Windows


@dataclass(frozen=True, eq=False)
class FittedGridJoint(OfGrid):
    """What `GridJoint.fit` learned.

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
    """

    component: GridJoint
    roles: dict[str, int]
    ranges: NDArray[np.float64]
    network: dict[str, NDArray[np.float32]]
    losses: tuple[float, ...]

    def apply(self, views: Mapping[str, Array], places: Places, *, device: str = "cpu") -> Matrix:
        """Codes of observations, with the ranges and the network of the fit.

        Parameters
        ----------
        views
            The same roles and dimensions as in the fit, each of shape (n, d).
        places
            Where the n observations lie; their sections need not be those of the fit.
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
        check_roles("grid-joint", views, len(places.um), self.roles)
        check(views, places, {})
        component = self.component
        features = scale(component.features(views, places), self.ranges)
        windows = gather(features, places, window=component.window, lattice=component.lattice, device=device)
        return self.embed(windows)

    def embed(self, windows: Windows) -> Matrix:
        """Codes of windows, on the device where they lie, shape (n, latent)."""
        from triptych.nets.grid_training import embed

        device = windows.index.device
        encoder, (mean, variance) = self.encoder()
        with threads_for(windows):
            return embed(encoder.to(device), (mean.to(device), variance.to(device)), windows)
