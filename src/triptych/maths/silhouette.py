"""The silhouette of every observation, exact, in blocks of rows."""

from __future__ import annotations

import numpy as np

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.threads import one_thread

BLOCK_MB = 32.0


def silhouettes(x: Matrix, codes: Codes, *, block_mb: float = BLOCK_MB) -> Vector:
    """How much nearer each observation is to its own cluster than to the next one.

    s = (b - a) / max(a, b), with a the mean distance to the others of its cluster and b the smallest
    mean distance to another cluster; 0 for a cluster of one (Rousseeuw 1987). Distances are Euclidean.

    Parameters
    ----------
    x
        Shape (n, d).
    codes
        Cluster codes 0 … k - 1, each in use, shape (n,).
    block_mb
        Memory for the distances held at once, in megabytes.

    Returns
    -------
    Shape (n,), between -1 and 1.
    """
    n, size = len(x), np.bincount(codes)
    order = np.argsort(codes, kind="stable")  # clusters lie side by side, so that they can be summed by runs
    x, codes = np.asarray(x, np.float64)[order], codes[order]
    x = x - x.mean(axis=0)  # smaller norms lose fewer digits
    rows = max(1, int(block_mb * 1e6 / 8 / n))
    found = np.empty(n)
    with one_thread():
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            found[order[block]] = _from_sums(_sums(x, size, block), codes[block], size)
    return found


def _sums(x: Matrix, size: Codes, block: slice) -> Matrix:
    """Sum of distances from each row of the block to each cluster, shape (b, k)."""
    square = np.einsum("ij,ij->i", x, x)
    distance = x[block] @ (-2.0 * x.T)
    distance += square[block, None]
    distance += square
    np.maximum(distance, 0.0, out=distance)
    np.sqrt(distance, out=distance)
    own = np.arange(len(distance))
    distance[own, block.start + own] = 0.0
    return np.add.reduceat(distance, np.cumsum(size) - size, axis=1)


def _from_sums(sums: Matrix, codes: Codes, size: Codes) -> Vector:
    """The silhouettes of rows whose distances to each cluster are summed."""
    own = np.arange(len(codes))
    inside = sums[own, codes] / np.maximum(size[codes] - 1, 1)
    outside = sums / size
    outside[own, codes] = np.inf
    nearest = outside.min(axis=1)
    scale = np.maximum(inside, nearest)
    value = np.divide(nearest - inside, scale, out=np.zeros(len(codes)), where=scale > 0)
    return np.where(size[codes] == 1, 0.0, value)
