"""Principal components of views laid side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.fusers.balance import check_roles, check_views, check_weights
from triptych.fusers.beside import check_scales, column_scales, side_by_side
from triptych.maths.pca import principal_components, projected


@dataclass(frozen=True)
class Pca:
    """The leading principal components of all columns together, each standardised.

    A sparse view, such as all genes, stays sparse: it is centred without subtracting.

    Parameters
    ----------
    components
        Dimension of the result.
    standardise
        Whether to bring each column to variance 1 first.
    balance
        Whether views count equally whatever their dimensions: each is brought to a total variance of 1,
        which divides standardised columns by √d. A single view is left as it is.
    weights
        By role; multiplies the view. A role that is not named has weight 1.
    """

    components: int = 32
    standardise: bool = True
    balance: bool = True
    weights: dict[str, float] = field(default_factory=dict)

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True  # the start vector of the iterations, when there are many columns
    cite: ClassVar[str] = "10.1080/14786440109462720"

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError("components must be at least 1")
        check_weights(self.weights)

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Lay the views side by side and reduce them.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.
        rng
            Draws the start vector of the iterations.

        Returns
        -------
        Shape (n, components), columns by falling variance.

        Raises
        ------
        DataError
            When views do not fit together, or are too small for so many components.
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedPca]:
        """Reduce the views, and keep the scales of their columns and the components.

        Parameters
        ----------
        views, places, rng
            As for `fuse`.

        Raises
        ------
        DataError
            When views do not fit together, or are too small for so many components.
        """
        check_views("pca", views, len(places.um), self.weights)
        scale = column_scales(views, self.weights, standardise=self.standardise, balance=self.balance)
        found = principal_components(side_by_side(views, scale), self.components, rng)
        roles = {role: views[role].shape[1] for role in scale}
        # The layout in which they come back from a file, so that a restored model gives the same bits.
        loadings = np.ascontiguousarray(found.loadings)
        return Fit(found.scores, FittedPca(self, roles, scale, found.mean, loadings))

    def restore(self, folder: Path) -> FittedPca:
        """Read the model that was saved in a folder."""
        return FittedPca.load(folder)


@dataclass(frozen=True, eq=False)
class FittedPca(Saved):
    """The scales and components that `Pca.fit` found.

    Parameters
    ----------
    component
        With which parameters.
    roles
        Dimension d of each view, in the order of their columns.
    scale
        By what each column is multiplied, by role, each of shape (d,).
    mean
        Of each column on its scale, shape (sum of d,).
    loadings
        Shape (sum of d, components).
    """

    component: Pca
    roles: dict[str, int]
    scale: dict[str, Vector]
    mean: Vector
    loadings: Matrix

    def __post_init__(self) -> None:
        d = sum(self.roles.values())
        check_scales(self.scale, self.roles)
        if self.mean.shape != (d,) or self.loadings.shape != (d, self.component.components):
            raise ValueError(f"its arrays do not fit {d} columns and {self.component.components} components")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Project other views on the components of the fit.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Shape (n, components).

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        check_roles("pca", views, len(places.um), self.roles)
        scale = {role: self.scale[role] for role in self.roles}
        return projected(side_by_side(views, scale), self.loadings, self.mean)
