"""What every model with the encoder of an autoencoder keeps: the scale of its inputs, and its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.core.models import Saved
from triptych.core.protocols import Array, Matrix, Vector
from triptych.nets.autoencoder_inputs import Inputs


class WithEncoder(Saved):
    """The base of frozen dataclasses that have these fields.

    Parameters
    ----------
    mean, deviation, factor, clip
        How columns are brought to their scale, as in `Inputs`.
    network
        Weights and biases of the encoder by name.
    """

    mean: Vector
    deviation: Vector
    factor: Vector
    clip: float
    network: dict[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        from triptych.nets.autoencoder import from_arrays

        columns = len(from_arrays(self.network).weights[0])
        for part in (self.mean, self.deviation, self.factor):
            if part.shape != (columns,):
                raise ValueError(f"its scale has shape {part.shape}; its network takes {columns} columns")

    @property
    def latent(self) -> int:
        """Dimension of the code."""
        return len(self.network[f"biases.{len(self.network) // 2 - 1}"])

    def codes(self, views: Sequence[Array]) -> Matrix:
        """Codes of rows.

        Parameters
        ----------
        views
            As many columns together as the network takes, each of shape (n, d), dense or CSR.

        Returns
        -------
        Single precision, shape (n, latent).
        """
        from triptych.nets.autoencoder import encode, from_arrays

        inputs = Inputs(tuple(views), self.mean, self.deviation, self.factor, self.clip)
        return encode(from_arrays(self.network), inputs)
