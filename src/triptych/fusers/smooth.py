"""Views averaged over neighbours in the tissue, then reduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from triptych.core.errors import DataError
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.fusers.balance import check_roles, check_views, check_weights, factors
from triptych.maths.graphs import averaging
from triptych.maths.pca import principal_components, projected


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
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedSmooth]:
        """Average the views and reduce them, and keep their factors and components.

        Parameters
        ----------
        views, places, rng
            As for `fuse`.

        Raises
        ------
        DataError
            When views do not fit together, are too small for so many components, or a sparse one
            should be kept whole.
        """
        check_views("smooth", views, len(places.um), self.weights)
        roles = {role: views[role].shape[1] for role in sorted(views)}
        factor = factors({role: views[role] for role in roles}, self.weights, balance=self.balance)
        joint = self.averaged([views[role] * factor[role] for role in roles], places)
        if not self.components:
            return Fit(joint, FittedSmooth(self, roles, factor, None, None))
        found = principal_components(joint, self.components, rng)
        # The layout in which they come back from a file, so that a restored model gives the same bits.
        loadings = np.ascontiguousarray(found.loadings)
        return Fit(found.scores, FittedSmooth(self, roles, factor, found.mean, loadings))

    def restore(self, folder: Path) -> FittedSmooth:
        """Read the model that was saved in a folder."""
        return FittedSmooth.load(folder)

    def averaged(self, views: list[Array], places: Places) -> Matrix | spla.LinearOperator:
        """The views side by side, averaged over the nearest places of each section.

        Parameters
        ----------
        views
            Each of shape (n, d), dense or CSR.
        places
            Where the n observations lie.

        Returns
        -------
        Shape (n, sum of d); an operator when a view is sparse.

        Raises
        ------
        DataError
            When a sparse view should be kept whole.
        """
        joint, mean = _side_by_side(views), averaging(places, self.neighbours)
        if not sp.issparse(joint):
            for _ in range(self.rounds):
                joint = mean @ joint
            return joint
        if not self.components:
            raise DataError(
                f"smooth: {joint.shape[1]} columns of a sparse view cannot be kept whole.",
                "Set components to 1 or more, or encode the genes with pca first.",
            )
        operator = spla.aslinearoperator(joint)
        for _ in range(self.rounds):
            operator = spla.aslinearoperator(mean) @ operator
        return operator


@dataclass(frozen=True, eq=False)
class FittedSmooth(Saved):
    """The factors and components that `Smooth.fit` found.

    Parameters
    ----------
    component
        With which parameters.
    roles
        Dimension of each view, in the order of their columns.
    factor
        By role, what multiplies the view.
    mean
        Of each column after averaging, shape (sum of d,); None when every column is kept.
    loadings
        Shape (sum of d, components); None when every column is kept.
    """

    component: Smooth
    roles: dict[str, int]
    factor: dict[str, float]
    mean: Vector | None
    loadings: Matrix | None

    def __post_init__(self) -> None:
        d, c = sum(self.roles.values()), self.component.components
        found = [part if part is None else part.shape for part in (self.mean, self.loadings)]
        if found != ([(d,), (d, c)] if c else [None, None]):
            raise ValueError(f"its arrays do not fit {d} columns and {c} components")
        if self.factor.keys() != self.roles.keys():
            raise ValueError("every role needs one factor")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Average other views over their own neighbours, and project them on the components of the fit.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie.

        Returns
        -------
        Shape (n, components), or (n, sum of d) when every column is kept.

        Raises
        ------
        DataError
            When the views are not those of the fit, or a sparse one should be kept whole.
        """
        check_roles("smooth", views, len(places.um), self.roles)
        joint = self.component.averaged([views[role] * self.factor[role] for role in self.roles], places)
        if self.mean is None or self.loadings is None:
            return joint
        return projected(joint, self.loadings, self.mean)


def _side_by_side(views: list[Array]) -> Array:
    """One matrix, sparse as soon as one of them is."""
    if any(sp.issparse(view) for view in views):
        return sp.hstack(views, format="csr", dtype=np.float64)
    return np.hstack([np.asarray(view, np.float64) for view in views])
