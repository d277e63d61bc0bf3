"""Outlines of cells or nuclei → their centroids and areas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from triptych.core.protocols import Codes, Matrix


def centroids(cell: Codes, ring: Codes, um: Matrix) -> pd.DataFrame:
    """Centroid and area of each cell by the shoelace formula.

    For a ring of vertices p_i with z_i = x_i y_{i+1} - x_{i+1} y_i, the signed area is A = ½ Σ z_i and the
    centroid 1/(6A) Σ (p_i + p_{i+1}) z_i. The rings of a cell with several nuclei are weighed by their area.
    A ring without area has the mean of its vertices and no weight beside others.

    Parameters
    ----------
    cell
        Code of the cell of each vertex, shape (v,), counted from 0 without gaps.
    ring
        Code of the ring of each vertex, likewise; the vertices of a ring follow each other in order.
    um
        Vertices, shape (v, 2); whether a ring repeats its first vertex does not matter.

    Returns
    -------
    Columns x, y (µm) and area (µm²), a row for each code.
    """
    order = np.argsort(ring, kind="stable")
    cell, ring, um = cell[order], ring[order], um[order]
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    size = np.diff(first, append=len(ring))
    start = um[first]
    shifted = um - np.repeat(start, size, axis=0)  # far from the origin the products would lose digits
    after = np.arange(1, len(um) + 1)
    after[first + size - 1] = first
    onward = shifted[after]
    cross = shifted[:, 0] * onward[:, 1] - onward[:, 0] * shifted[:, 1]
    double = np.add.reduceat(cross, first)
    moment = np.add.reduceat((shifted + onward) * cross[:, None], first)
    mean = np.add.reduceat(shifted, first) / size[:, None]
    flat = np.abs(double) < 1e-12
    centre = start + np.where(flat[:, None], mean, moment / (3 * np.where(flat, 1.0, double))[:, None])
    return _by_cell(cell[first], centre, np.abs(double) / 2)


def _by_cell(cell: Codes, centre: Matrix, area: Matrix) -> pd.DataFrame:
    """Rings of one cell put together."""
    number = int(cell.max(initial=-1)) + 1
    total = np.bincount(cell, area, number)
    weight = np.where(total[cell] > 0, area, 1.0)
    weights = np.bincount(cell, weight, number)
    xy = [np.bincount(cell, weight * centre[:, axis], number) / weights for axis in range(2)]
    return pd.DataFrame({"x": xy[0], "y": xy[1], "area": total})
