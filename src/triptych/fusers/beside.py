"""What fusers that reduce views laid side by side share: the scale of each column, sparse or dense."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Array, Vector
from triptych.fusers.balance import column_variance, largest


def column_scales(
    views: Mapping[str, Array], weights: Mapping[str, float], *, standardise: bool, balance: bool
) -> dict[str, Vector]:
    """By what to multiply each column of each view; means are left where they are, so that zeros stay.

    Parameters
    ----------
    views
        By role, each of shape (n, d), dense or CSR.
    weights
        By role; a role that is not named has weight 1.
    standardise
        Whether to bring each column to variance 1; a constant one is multiplied by 0.
    balance
        Whether views count equally whatever their dimensions: each is brought to a total variance of 1
        before the weights apply. A single view is left as it is.

    Returns
    -------
    Shape (d,) for each role, in the order of their names.
    """
    scales: dict[str, Vector] = {}
    for role in sorted(views):
        variance = column_variance(views[role])
        # Rounding leaves a constant column a variance of about 1e-32 of its squared size.
        flat = variance <= (1e-12 * largest(views[role])) ** 2
        deviation = np.sqrt(np.where(flat, 1.0, variance)) if standardise else 1.0
        scale = np.where(flat, 0.0, 1 / deviation)
        if balance and len(views) > 1:
            scale /= float(np.sqrt((scale**2 * variance).sum())) or 1.0
        scales[role] = scale * weights.get(role, 1.0)
    return scales


def side_by_side(views: Mapping[str, Array], scales: Mapping[str, Vector]) -> Array:
    """The columns of every view on their scales, shape (n, sum of d); CSR when a view is sparse."""
    if any(sp.issparse(views[role]) for role in scales):
        scaled = [sp.csr_matrix(views[role]) @ sp.diags(scale) for role, scale in scales.items()]
        return sp.csr_matrix(sp.hstack(scaled, format="csr", dtype=np.float64))
    return np.hstack([np.asarray(views[role], np.float64) * scale for role, scale in scales.items()])


def check_scales(scale: Mapping[str, Vector], roles: Mapping[str, int]) -> None:
    """Refuse scales of a saved model that do not fit its roles.

    Raises
    ------
    ValueError
        When they do not.
    """
    if {role: one.shape for role, one in scale.items()} != {role: (d,) for role, d in roles.items()}:
        raise ValueError("the scales do not fit the columns of the roles")
