"""A control: views whose rows belong to other observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.balance import check_views


@dataclass(frozen=True)
class Shuffled:
    """Views side by side with their rows in random order: the values stay as they are and mean nothing.

    What a method gains from them it would gain from any other numbers of that distribution.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = ""

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Permute the rows, those of all views alike.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their number matters.
        rng
            Draws the order.

        Returns
        -------
        Shape (n, sum of d), by the sorted names of the roles.

        Raises
        ------
        DataError
            When views do not fit together.
        """
        check_views("shuffled", views, len(places.um), {})
        found = [sp.csr_matrix(x).toarray() if sp.issparse(x) else x for _, x in sorted(views.items())]
        together: Matrix = np.hstack(found)[rng.permutation(len(places.um))]
        return together
