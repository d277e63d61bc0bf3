"""What no predictor can learn from, or guess from: refused at the door, all faults together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from triptych.core.abundance import Abundance
from triptych.core.checks import Faults
from triptych.core.protocols import Array, Codes, Indices, Places

ROWS: Final = 4096  # looked at, or in double precision, at once
LARGEST_GB: Final = 8.0  # of the matrix that a sparse view becomes


def check_settings(level: float, clip: float = 10.0) -> None:
    """Refuse parameters that every predictor of views has.

    Raises
    ------
    ValueError
        When the level is no share, or the clip is not positive.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    if not clip > 0:
        raise ValueError(f"clip must be above 0, not {clip}")


def check(name: str, views: Mapping[str, Any], target: Abundance, places: Places, groups: Codes) -> None:
    """Refuse what no predictor can learn from.

    Parameters
    ----------
    name
        Of the predictor, to open the message.
    views
        By role: dense or CSR of shape (n, d), or a source of n windows.
    target
        Of the n observations.
    places
        Where they lie.
    groups
        Code of what is held out together, shape (n,).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults, n = Faults(name), len(places.um)
    faults.check(bool(views), "there is no view. Name at least one in the step's reads.")
    for role, view in views.items():
        if isinstance(view, np.ndarray) or sp.issparse(view):
            check_view(faults, role, view, n)
        else:
            faults.check(len(view) == n, f"the view {role} has {len(view)} rows but there are {n} places.")
    faults.check(len(places.sample) == n, f"there are {n} places but {len(places.sample)} codes of sections.")
    faults.check(len(groups) == n, f"there are {n} places but {len(groups)} codes of groups.")
    faults.check(not bool((groups < 0).any()), "some rows have no group. Fill in the column that groups.")
    _check_target(faults, target, n)
    faults.raise_if_any()


def known(target: Abundance) -> Indices:
    """Rows of which something is known, in their order."""
    return np.flatnonzero(~np.isnan(target.values).any(axis=1))


def _check_target(faults: Faults, target: Abundance, n: int) -> None:
    shape, types = target.values.shape, len(target.types)
    told = f"the abundance has shape {shape}; {n} observations and {types} types need ({n}, {types})."
    if not faults.check(shape == (n, types) and types > 0, told):
        return
    unknown = np.isnan(target.values)
    half = int((unknown.any(axis=1) & ~unknown.all(axis=1)).sum())
    faults.check(half == 0, f"{half} rows have an abundance of some types only. Make them all NaN, or none.")
    faults.check(not bool(np.isinf(target.values).any()), "some abundances are infinite.")
    faults.check(not bool((target.values < 0).any()), "some abundances are negative.")
    enough = len(known(target))
    told = f"{enough} of {n} rows have an abundance; two are needed to learn from."
    faults.check(enough >= 2, told)


def check_view(faults: Faults, role: str, view: Array, n: int) -> bool:
    """Note what is wrong with a view.

    Parameters
    ----------
    faults
        Where to.
    role
        Its name.
    view
        Should be of shape (n, d), dense or CSR, and finite.
    n
        Number of places.

    Returns
    -------
    Whether it is a matrix of n rows.
    """
    if not faults.check(view.ndim == 2, f"the view {role} has shape {view.shape}; it needs (n, d)."):
        return False
    rows, d = view.shape
    fits = faults.check(rows == n, f"the view {role} has {rows} rows but there are {n} places.")
    faults.check(d > 0, f"the view {role} has no columns.")
    size = 4 * rows * d / 1e9
    told = f"the sparse view {role} would take {size:.0f} GB when dense. Encode it first, e.g. with pca."
    faults.check(not sp.issparse(view) or size <= LARGEST_GB, told)
    values = view.data if sp.issparse(view) else view
    finite = all(bool(np.isfinite(values[part]).all()) for part in parts(np.arange(len(values))))
    faults.check(finite, f"the view {role} has values that are not finite. Leave those rows out.")
    return fits


def parts(rows: Indices) -> Iterator[Indices]:
    """Rows, at most `ROWS` at once."""
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]
