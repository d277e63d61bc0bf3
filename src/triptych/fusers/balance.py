"""What fusers that lay views side by side share: checks at the door, and how much each view counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from triptych.core.checks import Faults, listing, nearest
from triptych.core.protocols import Array, Vector
from triptych.maths.counts import mean_variance


def check_weights(weights: Mapping[str, float]) -> None:
    """Refuse weights that are negative.

    Raises
    ------
    ValueError
        With the roles at fault.
    """
    wrong = [role for role, weight in weights.items() if not weight >= 0]
    if wrong:
        raise ValueError(f"weights must not be negative, see {', '.join(wrong)}")


def check_views(fuser: str, views: Mapping[str, Array], n: int, weights: Mapping[str, float]) -> None:
    """Refuse views that do not fit together.

    Parameters
    ----------
    fuser
        Its name, to open the message.
    views
        By role, each of shape (n, d).
    n
        Number of places.
    weights
        By role.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(fuser)
    faults.check(bool(views), "there is no view. Name at least one in the step's reads.")
    for role, view in views.items():
        values = view.data if sp.issparse(view) else view
        faults.check(view.ndim == 2, f"the view {role} has shape {view.shape}; it needs (n, d).")
        faults.check(
            view.shape[0] == n, f"the view {role} has {view.shape[0]} rows but there are {n} places."
        )
        faults.check(bool(np.isfinite(values).all()), f"the view {role} has values that are not finite.")
    for role in weights:
        faults.check(
            role in views,
            f"there is a weight for {role} but the views are {listing(views)}. {nearest(role, views)}",
        )
    faults.raise_if_any()


def check_roles(fuser: str, views: Mapping[str, Array], n: int, roles: Mapping[str, int]) -> None:
    """Refuse views that are not those of a fit.

    Parameters
    ----------
    fuser
        Its name, to open the message.
    views
        By role, each of shape (n, d).
    n
        Number of places.
    roles
        Dimension of each view of the fit.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(fuser)
    missing = [role for role in roles if role not in views]
    extra = [role for role in views if role not in roles]
    faults.check(not missing, f"the model was fitted with {listing(roles)}; {listing(missing)} is missing.")
    faults.check(not extra, f"the model was not fitted with {listing(extra)}.")
    for role, columns in roles.items():
        if role in views:
            faults.check(
                views[role].shape[1:] == (columns,),
                f"the view {role} has shape {views[role].shape}; the fit had {columns} columns.",
            )
    faults.raise_if_any()
    check_views(fuser, views, n, {})


def column_variance(view: Array) -> Vector:
    """Variance of each column of a dense or sparse view, shape (d,)."""
    if sp.issparse(view):
        n = view.shape[0]
        return np.asarray(mean_variance(sp.csr_matrix(view))[1] * ((n - 1) / n))
    return np.asarray(view.var(axis=0), np.float64)


def largest(view: Array) -> Vector:
    """Largest absolute value of each column of a dense or sparse view, shape (d,)."""
    if sp.issparse(view):
        return np.asarray(abs(sp.csr_matrix(view)).max(axis=0).toarray().ravel(), np.float64)
    return np.asarray(np.abs(view).max(axis=0), np.float64)


def factors(views: Mapping[str, Array], weights: Mapping[str, float], *, balance: bool) -> dict[str, float]:
    """By what to multiply each view.

    Parameters
    ----------
    views
        By role, each of shape (n, d).
    weights
        By role; a role that is not named has weight 1.
    balance
        Whether to bring every view to a total variance of 1 before the weights apply. For standardised
        columns this divides by √d. A single view is left as it is.

    Returns
    -------
    One factor per role.
    """
    found = {role: weights.get(role, 1.0) for role in views}
    if balance and len(views) > 1:
        for role, view in views.items():
            found[role] /= float(np.sqrt(column_variance(view).sum())) or 1.0
    return found
