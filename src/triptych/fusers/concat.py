"""Views side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Matrix, Places, Vector
from triptych.fusers.balance import check_roles, check_views, check_weights, largest
from triptych.maths.counts import mean_variance

LARGEST_GB: Final = 8.0  # of the matrix that sparse views become
ROWS: Final = 4096  # of a sparse view that are dense in double precision at once


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
    clip
        Largest absolute value of a standardised column; 0 leaves values as they are. A gene that few
        observations express has values of ten deviations and more, which squared errors follow.
    """

    standardise: bool = True
    balance: bool = True
    weights: dict[str, float] = field(default_factory=dict)
    clip: float = 0.0

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_weights(self.weights)
        if not self.clip >= 0:
            raise ValueError(f"clip must be 0 or a positive number, got {self.clip}")
        if self.clip and not self.standardise:
            raise ValueError("clip is of standardised columns: set standardise too")

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Lay the views side by side.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.
        rng
            Not used.

        Returns
        -------
        Shape (n, sum of d), float64; float32 when a view is sparse, as its zeros are then written out for
        the first time.

        Raises
        ------
        DataError
            When views do not fit together, or sparse ones would become larger than `LARGEST_GB`.
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
            As `fuse` does.
        """
        check_views("concat", views, len(places.um), self.weights)
        _check_size(views)
        scales = {role: self._scale(views[role]) for role in sorted(views)}
        model = FittedConcat(
            roles={role: views[role].shape[1] for role in sorted(views)},
            mean={role: mean for role, (mean, _) in scales.items()},
            deviation={role: deviation for role, (_, deviation) in scales.items()},
            factor={role: self._factor(role, views, deviation) for role, (_, deviation) in scales.items()},
            clip=self.clip,
        )
        return Fit(model.laid(views), model)

    def restore(self, folder: Path) -> FittedConcat:
        """Read the model that was saved in a folder."""
        return FittedConcat.load(folder)

    def _scale(self, view: Array) -> tuple[Vector, Vector]:
        """Mean and deviation of each column; deviation 0 marks one that is constant."""
        if not self.standardise:
            return np.zeros(view.shape[1]), np.ones(view.shape[1])
        mean, variance = _moments(view)
        deviation = np.sqrt(variance)
        # Rounding leaves a constant column a deviation of about 1e-16 of its size.
        return mean, np.where(deviation <= 1e-12 * largest(view), 0.0, deviation)

    def _factor(self, role: str, views: Mapping[str, Array], deviation: Vector) -> float:
        """By what a view is multiplied; a standardised column that is not constant has variance 1."""
        weight = self.weights.get(role, 1.0)
        if not self.balance or len(views) < 2:
            return weight
        variance = deviation > 0 if self.standardise else _moments(views[role])[1]
        return weight / (float(np.sqrt(variance.sum())) or 1.0)


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
    clip
        Largest absolute value of a standardised column; 0 for none.
    """

    roles: dict[str, int]
    mean: dict[str, Vector]
    deviation: dict[str, Vector]
    factor: dict[str, float]
    clip: float = 0.0

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
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Shape (n, sum of d); a column that was constant in the fit is 0.

        Raises
        ------
        DataError
            When the views are not those of the fit, or sparse ones would become larger than `LARGEST_GB`.
        """
        check_roles("concat", views, len(places.um), self.roles)
        _check_size(views)
        return self.laid(views)

    def laid(self, views: Mapping[str, Array]) -> Matrix:
        """The views of the fit's roles side by side."""
        n = views[next(iter(self.roles))].shape[0]
        single = any(sp.issparse(views[role]) for role in self.roles)
        out = np.empty((n, sum(self.roles.values())), np.float32 if single else np.float64)
        left = 0
        for role, d in self.roles.items():
            for start in range(0, n, ROWS):
                rows = slice(start, start + ROWS)
                out[rows, left : left + d] = self._ready(role, views[role][rows])
            left += d
        return out

    def _ready(self, role: str, rows: Array) -> Matrix:
        """Columns less their means, over their deviations, times the factor; 0 where one was constant."""
        dense = rows.toarray() if isinstance(rows, sp.csr_matrix) else np.asarray(rows)
        deviation = self.deviation[role]
        flat = deviation == 0
        ready = np.where(flat, 0.0, (dense - self.mean[role]) / np.where(flat, 1.0, deviation))
        if self.clip:
            np.clip(ready, -self.clip, self.clip, out=ready)
        return np.asarray(ready * self.factor[role])


def _moments(view: Array) -> tuple[Vector, Vector]:
    """Mean and variance of each column."""
    if not sp.issparse(view):
        dense = np.asarray(view, np.float64)
        return dense.mean(axis=0), dense.var(axis=0)
    n = view.shape[0]
    mean, variance = mean_variance(sp.csr_matrix(view))
    return np.asarray(mean), np.asarray(variance * ((n - 1) / n))


def _check_size(views: Mapping[str, Array]) -> None:
    """Refuse sparse views that would not fit into memory when they are dense."""
    sparse = [role for role, view in views.items() if sp.issparse(view)]
    size = next(iter(views.values())).shape[0] * sum(view.shape[1] for view in views.values())
    if sparse and 4 * size > LARGEST_GB * 1e9:
        raise DataError(
            f"concat: the sparse view {', '.join(sparse)} would take {4 * size / 1e9:.0f} GB when dense.",
            "Encode the genes with pca, or fuse with one that takes sparse views, e.g. smooth or pca.",
        )
