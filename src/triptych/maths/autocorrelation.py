"""Spatial autocorrelation of many variables at once: weights of neighbours, and bivariate Moran's R.

Weights are w_ij = n w⁰_ij / Σw⁰ with w⁰ = exp(-d² / 2l²), section by section, so that of n observations they
sum to n. R of two variables x and y (Wartenberg 1985, 10.1111/j.1538-4632.1985.tb00849.x) is

    R_xy = Σ_ij w_ij (x_i - x̄)(y_j - ȳ) / √(Σ_i (x_i - x̄)² Σ_i (y_i - ȳ)²),

which for columns Z of mean 0 and norm 1 is ZᵀWZ: all pairs are one sparse product and one dense one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Codes, Indices, Matrix, Places
from triptych.maths.correlations import unit_columns, varying

ROWS: Final = 4096  # whose neighbours are searched at once
EDGE: Final = 1e-6  # part by which the radius is widened: on an array many spots lie just at the cut-off


def pitch_um(places: Places) -> float:
    """Median distance of an observation to the nearest of its section, in µm; NaN where none has another.

    Parameters
    ----------
    places
        Of n observations.
    """
    from scipy.spatial import cKDTree

    found = [np.empty(0)]
    for rows in sections(places.sample):
        if len(rows) > 1:
            um = places.um[rows]
            found.append(cKDTree(um).query(um, k=[2])[0].ravel())
    distances = np.concatenate(found)
    return float(np.median(distances)) if len(distances) else float("nan")


def sections(sample: Codes) -> list[Indices]:
    """Rows of each section that has any, by code.

    Parameters
    ----------
    sample
        Code of the section of each observation, shape (n,).
    """
    order = np.argsort(sample, kind="stable")
    ends = np.flatnonzero(np.diff(sample[order])) + 1
    return [rows for rows in np.split(order, ends) if len(rows)]


def weights(
    places: Places, length_um: float, *, cutoff: float = 3.0, with_itself: bool = False
) -> sp.csr_matrix:
    """Weights of neighbours that fall with the square of their distance.

    Parameters
    ----------
    places
        Of n observations.
    length_um
        l, in µm.
    cutoff
        Radius in multiples of l, beyond which weights are 0.
    with_itself
        Whether w⁰_ii is 1 and not 0.

    Returns
    -------
    Symmetric, CSR of shape (n, n); between sections 0. In each section weights sum to its number of
    observations, or to 0 where none has a neighbour.
    """
    rows = sections(places.sample)
    parts = [_of_section(places.um[one], length_um, cutoff, with_itself=with_itself) for one in rows]
    if len(parts) == 1:  # whose rows are in their order
        return parts[0]
    back = np.argsort(np.concatenate(rows), kind="stable")
    return sp.csr_matrix(sp.block_diag(parts, format="csr")[back][:, back])


def _of_section(um: Matrix, length_um: float, cutoff: float, *, with_itself: bool) -> sp.csr_matrix:
    """Weights within one section; searched in blocks of rows, so that memory is that of the result."""
    from scipy.spatial import cKDTree

    n, tree = len(um), cKDTree(um)
    radius = cutoff * length_um * (1 + EDGE)
    size, columns, values = np.zeros(n + 1, np.int64), [], []
    for start in range(0, n, ROWS):
        block = cKDTree(um[start : start + ROWS])
        near = block.sparse_distance_matrix(tree, radius, output_type="ndarray")
        if not with_itself:
            near = near[near["i"] + start != near["j"]]
        near = near[np.lexsort((near["j"], near["i"]))]
        size[start + 1 : start + 1 + block.n] = np.bincount(near["i"], minlength=block.n)
        columns.append(near["j"].astype(np.int32))
        values.append(np.exp(-0.5 * np.square(near["v"] / length_um)))
    value = np.concatenate(values)
    total = float(value.sum())
    value *= n / total if total > 0 else 0.0
    return sp.csr_matrix((value, np.concatenate(columns), np.cumsum(size)), shape=(n, n))


def bivariate(x: Matrix, w: sp.csr_matrix) -> Matrix:
    """R of all pairs of variables; on the diagonal stands Moran's I of each.

    Parameters
    ----------
    x
        Variables of one section, shape (n, t).
    w
        Its weights, symmetric, CSR of shape (n, n).

    Returns
    -------
    Symmetric, shape (t, t); NaN for a constant variable, and where nothing neighbours anything.
    """
    z = unit_columns(x)
    r = z.T @ (w @ z)
    known = varying(x) & bool(w.nnz)
    return np.where(known & known[:, None], (r + r.T) / 2, np.nan)
