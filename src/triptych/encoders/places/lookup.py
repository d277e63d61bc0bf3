"""A random vector for every place: the control of encoders of places."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.errors import DataError
from triptych.core.protocols import Matrix, Places
from triptych.core.randomness import generator, seed_from
from triptych.maths.graphs import sections


@dataclass(frozen=True)
class Lookup:
    """A table with a row of standard normal numbers for every place, which says nothing of where it is.

    Two neighbours lie as far apart as any two places, √(2 · dim) more or less. What a view of places gains
    over this one, it gains from geometry and not from having more columns.

    Parameters
    ----------
    dim
        Numbers per place.

    Notes
    -----
    The table of a section is drawn from the seed and all of its places, so that neither the order of its
    rows nor another section matters. There is nothing to fit: a new section has a new table, to which
    whatever was learned on another does not apply.
    """

    dim: int = 64

    takes: ClassVar[Literal["places"]] = "places"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"dim must be at least 1, got {self.dim}")

    def encode(self, places: Places, rng: np.random.Generator) -> Matrix:
        """Look every place up.

        Parameters
        ----------
        places
            Where the n observations lie.
        rng
            Gives the seed of all tables.

        Returns
        -------
        Shape (n, dim), float32; observations of a section at the very same place have the same row.

        Raises
        ------
        DataError
            When a coordinate is not finite.
        """
        um = places.um.astype(np.float64) + 0.0  # -0 becomes 0, the same place in other bytes
        if not np.isfinite(um).all():
            raise DataError("places: some coordinates are not finite.", "Remove those rows.")
        seed, found = seed_from(rng), np.empty((len(um), self.dim), np.float32)
        for rows in sections(places.sample):
            where, row = np.unique(um[rows], axis=0, return_inverse=True)
            # One table for all sections would give the same vectors to like parts of two of them.
            key = hashlib.sha256(where.astype("<f8").tobytes()).hexdigest()
            table = generator(seed, key).standard_normal((len(where), self.dim), np.float32)
            found[rows] = table[row.reshape(-1)]
        return found
