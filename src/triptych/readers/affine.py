"""An affine map of the plane from a file: 3 × 3 numbers, as Xenium Explorer and MERSCOPE write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

from triptych.core.errors import DataError
from triptych.core.protocols import Matrix
from triptych.readers.delimited import readable

LAST: Final = np.array([0.0, 0.0, 1.0])
UNEVEN: Final = 0.01  # of the scale: beyond this, windows of tissue are visibly stretched
DECIMALS: Final = 9
SINGULAR: Final = 1e-9  # of the larger scale


def read_affine(path: Path) -> Matrix:
    """Read a matrix of three lines of three numbers, divided by commas, tabs or spaces.

    Returns
    -------
    Shape (3, 3), for columns (x, y, 1).

    Raises
    ------
    DataError
        When it is no such matrix, its last line is not 0, 0, 1, or it has no inverse.
    """
    with readable(path):
        text = path.read_text(encoding="utf-8-sig")
    rows = [re.split(r"[,;\s]+", line.strip()) for line in text.splitlines() if line.strip()]
    try:
        matrix = np.array([[float(value) for value in row if value] for row in rows])
    except ValueError as error:
        raise DataError(f"the file {path.name} is not an affine matrix of 3 × 3 numbers ({error})") from error
    if matrix.shape != (3, 3) or not np.all(np.isfinite(matrix)):
        raise DataError(
            f"the file {path.name} is not an affine matrix of 3 × 3 numbers: it has shape {matrix.shape}"
        )
    if not np.allclose(matrix[2], LAST):
        raise DataError(
            f"the matrix of {path.name} is not affine: its last line is {_words(matrix[2])}, not 0, 0, 1"
        )
    large, small = scales(matrix)
    if small <= SINGULAR * large or large == 0:
        raise DataError(f"the matrix of {path.name} has no inverse: it maps the plane to a line or a point")
    return matrix


def scales(matrix: Matrix) -> tuple[float, float]:
    """The largest and smallest factor of length: the singular values of its linear part."""
    large, small = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    return float(large), float(small)


def scale(matrix: Matrix) -> float:
    """The factor of length that keeps areas: √|det A|."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def unevenness(matrix: Matrix) -> float:
    """How far it is from a similarity: the ratio of its singular values less 1; 0 for turns and mirrors."""
    large, small = scales(matrix)
    return large / small - 1


def transform(matrix: Matrix, xy: Matrix) -> Matrix:
    """Points mapped forward, A·(x, y, 1)ᵀ; shape (n, 2)."""
    mapped: Matrix = xy @ matrix[:2, :2].T + matrix[:2, 2]
    return mapped


def fitted(source: Matrix, target: Matrix) -> tuple[Matrix, float]:
    """The affine map of points that fits best, to nine decimals, and the largest distance that remains.

    Parameters
    ----------
    source, target
        Shape (n, 2); points on a line tell no map, and the distance is infinite.
    """
    middle = source.mean(axis=0)
    linear, _, rank, _ = np.linalg.lstsq(source - middle, target - target.mean(axis=0), rcond=None)
    if rank < 2:
        return np.full((2, 3), np.nan), float("inf")
    matrix = np.column_stack([linear.T, target.mean(axis=0) - middle @ linear])
    rounded: Matrix = np.round(matrix, DECIMALS) + 0.0  # no -0, and the same on every machine
    return rounded, float(np.abs(transform(rounded, source) - target).max())


def _words(row: Matrix) -> str:
    return ", ".join(f"{value:g}" for value in row)
