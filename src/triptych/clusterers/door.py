"""What every clusterer does on the way in and on the way out."""

from __future__ import annotations

import numpy as np

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Indices, Matrix


def check_rows(clusterer: str, x: Matrix) -> None:
    """Refuse an empty matrix and values that are not finite.

    Parameters
    ----------
    clusterer
        Its name, to open the message.
    x
        Shape (n, d).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(clusterer)
    if faults.check(x.ndim == 2 and x.size > 0, f"the matrix has shape {x.shape}; it needs (n, d)."):
        wrong = int((~np.isfinite(x).all(axis=1)).sum())
        faults.check(wrong == 0, f"{wrong} of {len(x)} rows have values that are not finite. Remove them.")
    faults.raise_if_any()


def check_like(clusterer: str, x: Matrix, columns: int) -> None:
    """Refuse rows that cannot be compared with those of a fit.

    Parameters
    ----------
    clusterer
        Its name, to open the message.
    x
        Shape (n, d).
    columns
        Of the fit.

    Raises
    ------
    DataError
        With every fault found.
    """
    check_rows(clusterer, x)
    if x.shape[1] != columns:
        raise DataError(
            f"{clusterer}: the matrix has {x.shape[1]} columns; the fit had {columns}.",
            "Give the space that the model was fitted on.",
        )


def check_clusters(clusterer: str, x: Matrix, k: int) -> None:
    """Refuse to look for more clusters than there are distinct rows.

    Parameters
    ----------
    clusterer
        Its name, to open the message.
    x
        Shape (n, d).
    k
        Number of clusters wanted.

    Raises
    ------
    DataError
        With what there is.
    """
    check_rows(clusterer, x)
    faults = Faults(clusterer)
    if faults.check(k <= len(x), f"{k} clusters cannot be made of {len(x)} observations."):
        distinct = _distinct(x, k)
        faults.check(distinct >= k, f"{k} clusters cannot be made of {distinct} distinct observations.")
    faults.raise_if_any(hint=f"Set k to at most {len(x)}, or keep more observations.")


def _distinct(x: Matrix, enough: int) -> int:
    """Number of distinct rows; counting stops as soon as there are ``enough``."""
    seen = max(1024, 2 * enough)
    while True:
        found = len(np.unique(x[:seen], axis=0))
        if found >= enough or seen >= len(x):
            return found
        seen *= 8


def by_size(codes: Codes) -> Codes:
    """Renumber so that 0 is the largest cluster; equal sizes go by first appearance.

    Parameters
    ----------
    codes
        Any integers, shape (n,).

    Returns
    -------
    Codes 0 … k - 1, each in use, shape (n,).
    """
    _, first, inverse, size = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(size), np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return rank[inverse]


def in_use(codes: Codes, value: Codes) -> Indices:
    """What each cluster was called before it was renumbered.

    Parameters
    ----------
    codes
        As found, shape (n,).
    value
        The same renumbered by `by_size`, shape (n,).

    Returns
    -------
    The code of cluster 0, of cluster 1, …; codes that no row has do not appear.
    """
    return codes[np.unique(value, return_index=True)[1]]
