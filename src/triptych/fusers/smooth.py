"""Views averaged over neighbours in the tissue, then reduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from triptych.core.errors import DataError
from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_views, check_weights, factors
from triptych.maths.graphs import averaging
from triptych.maths.pca import principal_components


@dataclass(frozen=True)
class Smooth:
    """Average each view over the nearest observations, lay the views side by side, take principal components.

    Sections never mix. A sparse view, such as all genes, stays sparse: its average is never formed, only
    multiplied by vectors.

    Parameters
    ----------
    neighbours
        How many nearest places join the place itself.
    rounds
        How often to average.
    components
        Dimension of the result; 0 keeps every column of dense views.
    balance
        Whether views count equally whatever their dimensions, by their total variance before averaging.
        A single view is left as it is.
    weights
        By role; multiplies the view. A role that is not named has weight 1.
    """

    neighbours: int = 6
    rounds: int = 1
    components: int = 15
    balance: bool = True
    weights: dict[str, float] = field(default_factory=dict)

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True  # the start vector of the iterations, when there are many columns
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.neighbours < 1 or self.rounds < 0 or self.components < 0:
            raise ValueError("neighbours must be at least 1, rounds and components must not be negative")
        check_weights(self.weights)

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Average the views, lay them side by side and reduce them.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie.
        rng
            Draws the start vector of the iterations.

        Returns
        -------
        Shape (n, components), or (n, sum of d) when ``components`` is 0.

        Raises
        ------
        DataError
            When views do not fit together, are too small for so many components, or a sparse one
            should be kept whole.
        """
        check_views("smooth", views, len(places.um), self.weights)
        factor = factors(views, self.weights, balance=self.balance)
        joint = _side_by_side([views[role] * factor[role] for role in sorted(views)])
        mean = averaging(places, self.neighbours)
        if not sp.issparse(joint):
            for _ in range(self.rounds):
                joint = mean @ joint
            return principal_components(joint, self.components, rng).scores if self.components else joint
        if not self.components:
            raise DataError(
                f"smooth: {joint.shape[1]} columns of a sparse view cannot be kept whole.",
                "Set components to 1 or more, or encode the genes with pca first.",
            )
        operator = spla.aslinearoperator(joint)
        for _ in range(self.rounds):
            operator = spla.aslinearoperator(mean) @ operator
        return principal_components(operator, self.components, rng).scores


def _side_by_side(views: list[Array]) -> Array:
    """One matrix, sparse as soon as one of them is."""
    if any(sp.issparse(view) for view in views):
        return sp.hstack(views, format="csr", dtype=np.float64)
    return np.hstack([np.asarray(view, np.float64) for view in views])
