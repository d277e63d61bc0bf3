"""Micrometres per pixel, measured from positions that are known in both."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from triptych.core.protocols import Indices, Matrix

VISIUM_PITCH_UM: Final = 100.0
VISIUM_SPOT_UM: Final = 55.0
TOLERANCE: Final = 0.25  # of the pitch: a larger rms residual means that the array is another one


def similarity(um: Matrix, px: Matrix) -> tuple[float, float]:
    """The best scaled rotation or reflection from pixels to micrometres.

    Minimises ‖A - s·P·R‖² over the scale s and the orthogonal matrix R, for centred A and P (orthogonal
    Procrustes: with the singular values σ of PᵀA, s = Σσ / ‖P‖²).

    Parameters
    ----------
    um
        Known positions in micrometres, shape (n, 2).
    px
        The same positions in pixels, shape (n, 2).

    Returns
    -------
    Scale in µm per pixel and root-mean-square residual in µm; both NaN for positions in a line.
    """
    a, p = um - um.mean(axis=0, keepdims=True), px - px.mean(axis=0, keepdims=True)
    if len(um) < 3 or np.linalg.matrix_rank(a) < 2 or np.linalg.matrix_rank(p) < 2:
        return float("nan"), float("nan")
    total = float(np.sum(p**2))
    scale = float(np.linalg.svd(p.T @ a, compute_uv=False).sum()) / total
    residual = max(0.0, float(np.sum(a**2)) - scale**2 * total)
    return scale, float(np.sqrt(residual / len(um)))


def axis_scales(um: Matrix, px: Matrix) -> tuple[float, float]:
    """µm per pixel along x and along y, each by least squares of µm on pixels; NaN for a constant axis."""
    a, p = um - um.mean(axis=0), px - px.mean(axis=0)
    squares = np.sum(p**2, axis=0)
    slopes = np.abs(np.divide(np.sum(a * p, axis=0), squares, out=np.full(2, np.nan), where=squares > 0))
    return float(slopes[0]), float(slopes[1])


def visium_um(row: Indices, col: Indices) -> Matrix:
    """Positions of a Visium array in µm, shape (n, 2): 50 µm per column step, 100·√3/2 µm per row."""
    x = np.asarray(col, float) * VISIUM_PITCH_UM / 2
    y = np.asarray(row, float) * VISIUM_PITCH_UM * np.sqrt(3) / 2
    return np.column_stack([x, y])


def visium_mpp(row: Indices, col: Indices, px: Matrix) -> float:
    """µm per pixel if the array is a Visium one, else NaN.

    It is one when row + column is even everywhere and the pixels follow from the array by a similarity.
    """
    if len(row) < 3 or np.any((np.asarray(row) + np.asarray(col)) % 2) or not np.all(np.isfinite(px)):
        return float("nan")
    scale, residual = similarity(visium_um(row, col), px)
    return scale if residual < TOLERANCE * VISIUM_PITCH_UM else float("nan")


def array_positions(obs: pd.DataFrame) -> tuple[Indices, Indices] | None:
    """``array_row`` and ``array_col`` if both are there and whole numbers."""
    if not {"array_row", "array_col"} <= set(obs.columns):
        return None
    both = obs[["array_row", "array_col"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if not np.all(np.isfinite(both)) or np.any(both != np.floor(both)):
        return None
    return both[:, 0].astype(np.int64), both[:, 1].astype(np.int64)
