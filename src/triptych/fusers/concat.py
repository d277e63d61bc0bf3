"""Views side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_views, check_weights, factors


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
        check_views("concat", views, len(places.um), self.weights)
        sparse = [role for role, view in views.items() if sp.issparse(view)]
        if sparse:
            raise DataError(
                f"concat: the view {', '.join(sparse)} is sparse.",
                "Encode the genes with pca, or fuse with smooth, which reduces the dimension.",
            )
        ready = {role: self._standardised(np.asarray(views[role], np.float64)) for role in sorted(views)}
        factor = factors(ready, self.weights, balance=self.balance)
        return np.hstack([view * factor[role] for role, view in ready.items()])

    def _standardised(self, view: Matrix) -> Matrix:
        """Columns of mean 0 and variance 1; a constant column becomes 0."""
        if not self.standardise:
            return view
        deviation = view.std(axis=0)
        # Rounding leaves a constant column a deviation of about 1e-16 of its size.
        flat = deviation <= 1e-12 * np.abs(view).max(axis=0)
        return np.where(flat, 0.0, (view - view.mean(axis=0)) / np.where(flat, 1.0, deviation))
