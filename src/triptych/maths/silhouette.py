"""The silhouette of every observation, exact, in tiles of the distances, on every core."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.neighbours import threads
from triptych.maths.threads import one_thread

BLOCK_MB = 32.0
ROWS, COLUMNS = 256, 1024  # of a tile, which stays in the cache of a core


def silhouettes(x: Matrix, codes: Codes, *, block_mb: float = BLOCK_MB) -> Vector:
    """How much nearer each observation is to its own cluster than to the next one.

    s = (b - a) / max(a, b), with a the mean distance to the others of its cluster and b the smallest
    mean distance to another cluster; 0 for a cluster of one (Rousseeuw 1987). Distances are Euclidean, in
    double precision. The bits do not depend on the number of threads, which is that of OpenMP
    (``OMP_NUM_THREADS``).

    Parameters
    ----------
    x
        Shape (n, d).
    codes
        Cluster codes 0 … k - 1, each in use, shape (n,).
    block_mb
        Memory for the distances that a thread holds at once, in megabytes; more than two are never used.

    Returns
    -------
    Shape (n,), between -1 and 1.
    """
    n, size = len(x), np.bincount(codes)
    order = np.argsort(codes, kind="stable")  # clusters lie side by side, so that they can be summed by runs
    codes = codes[order]
    left, right = factors(np.asarray(x, np.float64)[order])
    rows = max(1, min(ROWS, int(block_mb * 1e6 / 8 / min(n, COLUMNS))))
    found = np.empty(n)

    def fill(start: int) -> None:
        block = slice(start, min(start + rows, n))
        found[order[block]] = from_sums(_sums(left, right, size, block), codes[block], size)

    workers = threads()  # asked before OpenMP is held to one
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(fill, range(0, n, rows)):
            pass
    return found


def factors(x: Matrix) -> tuple[Matrix, Matrix]:
    """Two matrices, (n, d + 2) and (d + 2, n), whose product is |x|² - 2xy + |y|², the squared distances."""
    x = x - x.mean(axis=0)  # smaller norms lose fewer digits
    square, one = np.einsum("ij,ij->i", x, x)[:, None], np.ones((len(x), 1))
    return np.hstack([x, square, one]), np.hstack([-2.0 * x, one, square]).T


def _sums(left: Matrix, right: Matrix, size: Codes, block: slice) -> Matrix:
    """Sum of distances from each row of the block to each cluster, shape (b, k)."""
    sums, ends = np.zeros((block.stop - block.start, len(size))), np.cumsum(size)
    for start in range(0, len(left), COLUMNS):
        distance = left[block] @ right[:, start : start + COLUMNS]
        np.maximum(distance, 0.0, out=distance)
        np.sqrt(distance, out=distance)
        own = np.arange(max(block.start, start), min(block.stop, start + distance.shape[1]))
        distance[own - block.start, own - start] = 0.0
        first, last = np.searchsorted(ends, [start, start + distance.shape[1] - 1], side="right")
        runs = np.maximum(ends[first : last + 1] - size[first : last + 1] - start, 0)
        sums[:, first : last + 1] += np.add.reduceat(distance, runs, axis=1)
    return sums


def from_sums(sums: Matrix, codes: Codes, size: Codes) -> Vector:
    """The silhouettes of rows whose distances to each cluster are summed."""
    own = np.arange(len(codes))
    inside = sums[own, codes] / np.maximum(size[codes] - 1, 1)
    outside = sums / size
    outside[own, codes] = np.inf
    nearest = outside.min(axis=1)
    scale = np.maximum(inside, nearest)
    value = np.divide(nearest - inside, scale, out=np.zeros(len(codes)), where=scale > 0)
    return np.where(size[codes] == 1, 0.0, value)
