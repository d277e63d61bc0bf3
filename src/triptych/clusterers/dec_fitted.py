"""A fitted dec: an encoder and centres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from triptych.clusterers.door import check_like
from triptych.core.protocols import Codes, Indices, Matrix, Vector
from triptych.maths.threads import threads_for
from triptych.nets.autoencoder_saved import WithEncoder

PART = 8192  # rows compared with all centres at once


@dataclass(frozen=True, eq=False)
class Start(WithEncoder):
    """An encoder without centres yet.

    Parameters
    ----------
    mean, deviation, factor, clip
        How columns are brought to their scale.
    network
        Weights and biases of the encoder by name.
    """

    mean: Vector
    deviation: Vector
    factor: Vector
    clip: float
    network: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class FittedDec(WithEncoder):
    """What `Dec.fit` learned.

    Parameters
    ----------
    mean, deviation
        Of each column, shape (d,); deviation 0 marks one that was constant.
    factor
        What multiplies each standardised column, shape (d,).
    clip
        Largest size of a standardised value; 0 for no limit.
    network
        Weights and biases of the encoder by name.
    centres
        Shape (k, latent), in the order of the codes.
    changes
        Part of the observations that changed cluster from target to target.
    """

    mean: Vector
    deviation: Vector
    factor: Vector
    clip: float
    network: dict[str, NDArray[np.float32]]
    centres: NDArray[np.float32]
    changes: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.centres.ndim != 2 or not len(self.centres) or self.centres.shape[1] != self.latent:
            raise ValueError(f"its centres have shape {self.centres.shape}; they need (k, {self.latent})")

    def embed(self, x: Matrix) -> Matrix:
        """Codes of rows in the space that was learned.

        Parameters
        ----------
        x
            Shape (n, d).

        Returns
        -------
        Single precision, shape (n, latent).

        Raises
        ------
        DataError
            When values are not finite or the columns are not as many as in the fit.
        """
        check_like("dec", x, len(self.mean))
        with threads_for(len(x)):
            return self.codes((x,))

    def apply(self, x: Matrix) -> Codes:
        """Give each row to the centre nearest to its code, which is where its soft assignment is largest.

        Parameters
        ----------
        x
            Shape (n, d).

        Returns
        -------
        Codes of the fit, shape (n,).

        Raises
        ------
        DataError
            When values are not finite or the columns are not as many as in the fit.
        """
        z = self.embed(x)
        parts = [_nearest(z[start : start + PART], self.centres) for start in range(0, len(z), PART)]
        return np.concatenate(parts)

    def with_centres(self, order: Indices) -> Self:
        """The same with some of the centres, in another order."""
        return replace(self, centres=self.centres[order])


def _nearest(z: Matrix, centres: Matrix) -> Codes:
    square = ((z[:, None] - centres) ** 2).sum(axis=2)
    return np.asarray(square.argmin(axis=1))
