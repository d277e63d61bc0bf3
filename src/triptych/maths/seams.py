"""How much less two smooth maps agree by chance once one of them was cut and shifted on a torus.

S = Σ_j v_j y_j of two unrelated maps of n observations has the variance Σ_h N(h) C_v(h) C_y(h), with C their
autocovariances and N(h) the number of pairs of observations at the lag h. A shift cuts y: neighbours that
come to lie on either side of a seam, or lose their partner, are no longer alike. Of the pairs at h a share
N(h) / n stays together, averaged over all shifts, whatever the shape of the section. So remains the part

    Σ_h N(h)² C_v(h) C_y(h) / (n Σ_h N(h) C_v(h) C_y(h))

of the variance, and shifts alone find associations too readily by as much. Mrkvička et al.
(10.1016/j.spasta.2020.100430) describe the fault and mend it in another way.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from triptych.core.protocols import Indices, Matrix, Places, Vector

FAR: Final = 0.5  # share of the section that must lie over itself at a lag: beyond, autocovariances are noise
LOWEST: Final = 0.1  # of the parts that are given back
CELLS: Final = 4  # observations of each bin, where they lie on no array


def bins(places: Places, *, array: bool) -> Indices:
    """Bin (column, row) of each observation, from 0, shape (n, 2).

    Parameters
    ----------
    places
        Of the n observations of one section.
    array
        Whether positions on the array are the bins; else squares that hold `CELLS` on average.
    """
    if array and places.grid is not None:
        return np.asarray(places.grid - places.grid.min(axis=0))
    um = places.um - places.um.min(axis=0)
    extent = um.max(axis=0)
    side = max(float(np.sqrt(extent.prod() * CELLS / len(um))), float(extent.max()) * CELLS / len(um))
    return (um / side).astype(np.int64) if side > 0 else np.zeros(um.shape, np.int64)


def kept_variance(at: Indices, v: Matrix, y: Matrix) -> Matrix:
    """Part of its variance that the product of two maps keeps, averaged over all shifts of the second.

    Parameters
    ----------
    at
        Bin of each of n observations, not negative, shape (n, 2).
    v, y
        Maps, shape (n, t).

    Returns
    -------
    Above 0 to 1, shape (t, t): of the map ``v`` of the row and ``y`` of the column.
    """
    shape = (int(at[:, 0].max()) + 1, int(at[:, 1].max()) + 1)
    code = at[:, 0] * shape[1] + at[:, 1]
    held: Vector = np.bincount(code, minlength=shape[0] * shape[1]).astype(np.float64)
    pairs, over = _at_lags(held, shape), _at_lags((held > 0).astype(np.float64), shape)
    near = np.flatnonzero(over >= FAR * over[0])
    share = over[near] / over[0]
    # Lags come with a column of 0 or more; the others repeat them, but for the column 0, which is whole.
    weight = np.where(near < len(over) // shape[0], 1.0, 2.0) / pairs[near]

    def of_each(x: Matrix) -> Matrix:
        sums = (np.bincount(code, one, len(held)).astype(np.float64) for one in (x - x.mean(axis=0)).T)
        return np.stack([_at_lags(one, shape)[near] for one in sums])

    a, b = of_each(v), of_each(y)
    kept, whole = (a * (weight * share)) @ b.T, (a * weight) @ b.T
    part = np.divide(kept, whole, out=np.ones_like(kept), where=(whole > 0) & (kept > 0))
    return np.asarray(np.clip(part, LOWEST, 1.0))


def _at_lags(summed: Vector, shape: tuple[int, int]) -> Vector:
    """Σ of products of two bins at every lag of 0 or more columns; the lag 0 comes first."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    wide = tuple(next_fast_len(2 * side, real=True) for side in shape)
    found = np.asarray(irfft2(np.abs(rfft2(summed.reshape(shape), wide)) ** 2, wide))
    return found[: shape[0]].ravel()
