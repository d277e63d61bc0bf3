"""The regression that ridge learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.maths.threads import threads_for
from triptych.predictors.inner import bounded
from triptych.predictors.inputs import Scales
from triptych.predictors.spectrum import ROWS, blocks, leverage


@dataclass(frozen=True, eq=False)
class FittedRidge(Scales):
    """The regression that `triptych.predictors.ridge.Ridge` learned, after the parameters of `Scales`.

    Parameters
    ----------
    coefficients
        Shape (d, t).
    centre, offset
        Means of the scaled columns and of the types, shapes (d,) and (t,).
    directions
        As `Spectrum.directions` gives, shape (d, r).
    rows
        How many were learned from.
    margin
        Of each type, shape (t,).
    types
        Their names.
    chosen
        ``alpha``, the penalty.
    """

    coefficients: Matrix
    centre: Vector
    offset: Vector
    directions: Matrix
    rows: int
    margin: Vector
    types: tuple[str, ...]
    chosen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        d, t = len(self.mean), len(self.types)
        shapes = [self.coefficients.shape, self.centre.shape, self.offset.shape, self.margin.shape]
        if shapes != [(d, t), (d,), (t,), (t,)] or self.directions.shape[:1] != (d,):
            raise ValueError(f"its arrays do not fit {d} columns and {t} types")
        if "alpha" not in self.chosen:
            raise ValueError("it does not tell its alpha")

    def apply(self, views: Mapping[str, Array], places: Places) -> Abundance:
        """Guess the abundances of other observations.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their sections matter, where each is scaled by itself.

        Returns
        -------
        Shape (n, t), with low and high.

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        with threads_for(len(places.um)):
            return self.guess(self.matrix(views, places))

    def guess(self, x: Matrix) -> Abundance:
        """As `apply`, of rows that were scaled, shape (n, d)."""
        values, spread = np.empty((len(x), len(self.types))), np.empty((len(x), 1))
        for start, block in enumerate(blocks(x)):
            rows = slice(start * ROWS, start * ROWS + ROWS)
            part = block - self.centre
            values[rows] = self.offset + part @ self.coefficients
            kept, square = part @ self.directions, np.einsum("ij,ij->i", part, part)
            along = np.einsum("ij,ij->i", kept, kept)
            spread[rows, 0] = np.sqrt(1 + leverage(square, along, self.chosen["alpha"], self.rows))
        return bounded(values, spread, self.margin, self.types)
