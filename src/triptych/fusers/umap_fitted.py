"""Rows never seen, placed in an embedding by their nearest rows of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from triptych.core.models import Saved
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.fusers.balance import check_roles
from triptych.fusers.beside import check_scales, side_by_side
from triptych.maths.pca import projected
from triptych.maths.threads import one_thread

ROWS: Final = 4096  # rows placed at once


@dataclass(frozen=True, eq=False)
class FittedUmap(Saved):
    """The rows that `Umap.fit` embedded, and where.

    Parameters
    ----------
    neighbours
        How many nearest rows of the fit place a row.
    roles
        Dimension d of each view, in the order of their columns.
    scale
        By what each column is multiplied, by role, each of shape (d,).
    mean
        Of each column on its scale, shape (sum of d,); None where no principal components were taken.
    loadings
        Of the principal components, shape (sum of d, p); None where none were taken.
    space
        Rows of the fit, shape (m, p), or (m, sum of d).
    embedding
        Their places in the result, shape (m, components).
    """

    neighbours: int
    roles: dict[str, int]
    scale: dict[str, Vector]
    mean: Vector | None
    loadings: Matrix | None
    space: Matrix
    embedding: Matrix

    def __post_init__(self) -> None:
        d = sum(self.roles.values())
        check_scales(self.scale, self.roles)
        if (self.mean is None) != (self.loadings is None):
            raise ValueError("the principal components lack their means or their loadings")
        if self.loadings is not None and self.loadings.shape != (d, self.space.shape[1]):
            raise ValueError(f"loadings of shape {self.loadings.shape} do not fit {d} columns")
        if self.loadings is None and self.space.shape[1:] != (d,):
            raise ValueError(f"a space of shape {self.space.shape} does not fit {d} columns")
        if len(self.space) != len(self.embedding):
            raise ValueError("there must be a place for each row of the fit")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Place other rows among those of the fit.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Shape (n, components). A row of the fit gets its own place, unless others coincide with it.

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        check_roles("umap", views, len(places.um), self.roles)
        joint = side_by_side(views, {role: self.scale[role] for role in self.roles})
        if self.loadings is not None and self.mean is not None:
            return self.placed(projected(joint, self.loadings, self.mean))
        return self.placed(joint if isinstance(joint, np.ndarray) else joint.toarray())

    def placed(self, x: Matrix) -> Matrix:
        """Mean place of the nearest rows of the fit, weighted by 1 / d²; Shepard (1968).

        Parameters
        ----------
        x
            Rows in the space of the fit, shape (n, p).
        """
        from sklearn.neighbors import NearestNeighbors

        found = np.empty((len(x), self.embedding.shape[1]))
        with one_thread():
            model = NearestNeighbors(n_neighbors=min(self.neighbours, len(self.space))).fit(self.space)
            for start in range(0, len(x), ROWS):
                rows = x[start : start + ROWS]
                near = model.kneighbors(rows, return_distance=False)
                weight = _weights(((self.space[near] - rows[:, None]) ** 2).sum(axis=2))
                found[start : start + ROWS] = np.einsum("ij,ijc->ic", weight, self.embedding[near])
        return found


def _weights(square: Matrix) -> Matrix:
    """Share of each neighbour by the inverse of its squared distance; rows that coincide have it all."""
    least = square.min(axis=1, keepdims=True)
    ratio = np.divide(least, square, out=np.ones_like(square), where=square > 0)  # no overflow near zero
    return np.asarray(ratio / ratio.sum(axis=1, keepdims=True))
