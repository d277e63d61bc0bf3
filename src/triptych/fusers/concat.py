"""Views side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.fusers.balance import check_roles, check_views, check_weights, factors


@dataclass(frozen=True)
class Concat:
    """The columns of every view, in the order of their roles' names.

    Parameters
    ----------
    standardise
        Whether to bring each column to mean 0 and variance 1 first.
    balance
        Whether views count equally whatever their dimensions: each is brought to a total variance of 1,
        which divides standardised columns by √d. A single view is left as it is.
    weights
        By role; multiplies the view. A role that is not named has weight 1.
    """

    standardise: bool = True
    balance: bool = True
    weights: dict[str, float] = field(default_factory=dict)

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_weights(self.weights)

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Lay the views side by side.

        Parameters
        ----------
        views
            By role, each dense of shape (n, d).
        places
            Where the n observations lie; only their number matters.
        rng
            Not used.

        Returns
        -------
        Shape (n, sum of d).

        Raises
        ------
        DataError
            When views do not fit together, or one is sparse.
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedConcat]:
        """Lay the views side by side, and keep how each column was brought to its scale.

        Parameters
        ----------
        views, places, rng
            As for `fuse`.

        Raises
        ------
        DataError
            When views do not fit together, or one is sparse.
        """
        check_views("concat", views, len(places.um), self.weights)
        _check_dense(views)
        dense = {role: np.asarray(views[role], np.float64) for role in sorted(views)}
        scales = {role: self._scale(view) for role, view in dense.items()}
        ready = {role: _standardised(view, *scales[role]) for role, view in dense.items()}
        factor = factors(ready, self.weights, balance=self.balance)
        model = FittedConcat(
            roles={role: view.shape[1] for role, view in dense.items()},
            mean={role: mean for role, (mean, _) in scales.items()},
            deviation={role: deviation for role, (_, deviation) in scales.items()},
            factor=factor,
        )
        return Fit(np.hstack([view * factor[role] for role, view in ready.items()]), model)

    def restore(self, folder: Path) -> FittedConcat:
        """Read the model that was saved in a folder."""
        return FittedConcat.load(folder)

    def _scale(self, view: Matrix) -> tuple[Vector, Vector]:
        """Mean and deviation of each column; deviation 0 marks one that is constant."""
        if not self.standardise:
            return np.zeros(view.shape[1]), np.ones(view.shape[1])
        deviation = view.std(axis=0)
        # Rounding leaves a constant column a deviation of about 1e-16 of its size.
        flat = deviation <= 1e-12 * np.abs(view).max(axis=0)
        return view.mean(axis=0), np.where(flat, 0.0, deviation)


@dataclass(frozen=True, eq=False)
class FittedConcat(Saved):
    """How `Concat.fit` brought each column to its scale.

    Parameters
    ----------
    roles
        Dimension d of each view, in the order of their columns.
    mean, deviation
        Of each column by role, each of shape (d,); deviation 0 marks a column that was constant.
    factor
        By role, what multiplies the view after that.
    """

    roles: dict[str, int]
    mean: dict[str, Vector]
    deviation: dict[str, Vector]
    factor: dict[str, float]

    def __post_init__(self) -> None:
        for role, d in self.roles.items():
            if self.mean[role].shape != (d,) or self.deviation[role].shape != (d,):
                raise ValueError(f"the arrays of {role} do not fit its {d} columns")
        if self.factor.keys() != self.roles.keys():
            raise ValueError("every role needs one factor")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Lay other views side by side, on the scales of the fit.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each dense of shape (n, d).
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Shape (n, sum of d); a column that was constant in the fit is 0.

        Raises
        ------
        DataError
            When the views are not those of the fit, or one is sparse.
        """
        check_roles("concat", views, len(places.um), self.roles)
        _check_dense(views)
        ready = {role: np.asarray(views[role], np.float64) for role in self.roles}
        return np.hstack(
            [
                _standardised(view, self.mean[role], self.deviation[role]) * self.factor[role]
                for role, view in ready.items()
            ]
        )


def _standardised(view: Matrix, mean: Vector, deviation: Vector) -> Matrix:
    """Columns less their means, over their deviations; 0 where a column was constant."""
    flat = deviation == 0
    return np.where(flat, 0.0, (view - mean) / np.where(flat, 1.0, deviation))


def _check_dense(views: Mapping[str, Array]) -> None:
    """Refuse sparse views."""
    sparse = [role for role, view in views.items() if sp.issparse(view)]
    if sparse:
        raise DataError(
            f"concat: the view {', '.join(sparse)} is sparse.",
            "Encode the genes with pca, or fuse with smooth, which reduces the dimension.",
        )
