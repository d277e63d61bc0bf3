"""Waves of growing length along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.errors import DataError
from triptych.core.protocols import Matrix, Places
from triptych.maths.graphs import sections


@dataclass(frozen=True)
class Sinusoidal:
    """Sines and cosines of a position, from short waves to long ones, half of them for each axis.

    PE(p, 2i) = sin(p / base^(2i/d)) and PE(p, 2i + 1) = cos(p / base^(2i/d)), with d = dim / 2 per axis and
    p in units of ``scale_um`` (Vaswani et al. 2017). The shortest wave is 2π · ``scale_um`` long.

    Parameters
    ----------
    dim
        Dimension of the result, a multiple of 4.
    base
        Ratio of the longest wave to the shortest, nearly.
    scale_um
        Unit of position in micrometres; about the distance between neighbouring observations.
    own_origin
        Whether positions count from the least x and y of each section, as sections share no frame.
    """

    dim: int = 64
    base: float = 10000.0
    scale_um: float = 100.0
    own_origin: bool = True

    takes: ClassVar[Literal["places"]] = "places"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.48550/arXiv.1706.03762"

    def __post_init__(self) -> None:
        if self.dim < 4 or self.dim % 4:
            raise ValueError("dim must be a multiple of 4: a sine and a cosine for each of two axes")
        if not self.base > 1 or not self.scale_um > 0:
            raise ValueError("base must be above 1 and scale_um above 0")

    def encode(self, places: Places, rng: np.random.Generator) -> Matrix:
        """Encode the positions.

        Parameters
        ----------
        places
            Where the n observations lie.
        rng
            Not used.

        Returns
        -------
        Shape (n, dim): the waves of x, then those of y; sine and cosine alternate.

        Raises
        ------
        DataError
            When a coordinate is not finite.
        """
        position = np.array(places.um, np.float64)
        if not np.isfinite(position).all():
            raise DataError("places: some coordinates are not finite.", "Remove those rows.")
        if self.own_origin:
            for rows in sections(places.sample):
                position[rows] -= position[rows].min(axis=0)
        half = self.dim // 2
        angle = position[:, :, None] / self.scale_um / self.base ** (np.arange(0, half, 2) / half)
        return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(position), self.dim)
