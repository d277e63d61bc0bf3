"""Clusters of cells with like expression, for evidence that no cell has by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.communities import leiden
from triptych.maths.counts import detected_in, logged, normalised
from triptych.maths.graphs import jaccard, nearest_rows
from triptych.maths.pca import principal_components
from triptych.maths.threads import one_thread

MOST: Final = 20_000  # cells between which neighbours are searched; the others join the nearest centre
FEWEST: Final = 10  # cells that are worth clustering
ROWS: Final = 8192  # rows whose distances to the centres are held at once


@dataclass(frozen=True)
class Clustering:
    """How cells are clustered: principal components of log-normalised counts, neighbours, Leiden.

    Parameters
    ----------
    components
        Principal components, fewer where there are not so many genes or cells.
    neighbours
        Nearest cells joined to each.
    resolution
        Higher finds more and smaller clusters.
    """

    components: int = 30
    neighbours: int = 15
    resolution: float = 1.0

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError("components must be at least 1")
        if self.neighbours < 1:
            raise ValueError("neighbours must be at least 1")
        if not self.resolution > 0:
            raise ValueError("resolution must be above 0")

    def clusters(self, x: sp.csr_matrix, rng: np.random.Generator) -> Codes:
        """Cluster cells.

        Of more than `MOST` cells so many are drawn and clustered; each of the others goes to the cluster with
        the nearest centre.

        Parameters
        ----------
        x
            Counts, CSR of shape (n, g).
        rng
            Draws cells, and seeds the order in which they are visited.

        Returns
        -------
        Codes by falling size in the cells drawn, shape (n,); -1 for cells without counts. Fewer than `FEWEST`
        cells are one cluster.
        """
        codes = np.full(x.shape[0], -1, np.int64)
        rows = np.flatnonzero(np.asarray(x.sum(axis=1)).ravel() > 0)
        seen = x[rows]
        seen = seen[:, detected_in(seen) > 0]
        components = min(self.components, *(size - 1 for size in seen.shape))
        if len(rows) < FEWEST or components < 1:
            codes[rows] = 0
            return codes
        space = principal_components(logged(normalised(seen)), components, rng).scores
        drawn = np.arange(len(rows))
        if len(rows) > MOST:
            drawn = np.sort(rng.choice(len(rows), MOST, replace=False))
        with one_thread():
            graph = nearest_rows(space[drawn], min(self.neighbours, len(drawn) - 1))
            found = leiden(jaccard(graph), self.resolution, seed_from(rng))
            codes[rows] = _nearest(space, space[drawn], found)
        codes[rows[drawn]] = found
        return codes


def _nearest(x: Matrix, drawn: Matrix, codes: Codes) -> Codes:
    """The cluster with the nearest centre, shape (n,)."""
    members = sp.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))))
    centres = np.asarray(members @ drawn) / np.bincount(codes)[:, None]
    square = (centres**2).sum(axis=1)
    blocks = [square - 2 * x[start : start + ROWS] @ centres.T for start in range(0, len(x), ROWS)]
    return np.concatenate([block.argmin(axis=1) for block in blocks])


def mean_by(codes: Codes, values: Matrix, pseudo: float = 0.0) -> Matrix:
    """Mean of the rows of each cluster, shape (k, c), NaN for one of no known rows.

    Parameters
    ----------
    codes
        Cluster of each row, -1 = none, shape (n,).
    values
        Shape (n, c); rows with NaN take no part.
    pseudo
        So many rows of the mean of all are added to each cluster.
    """
    used = np.flatnonzero((codes >= 0) & np.isfinite(values).all(axis=1))
    k = int(codes.max(initial=-1)) + 1
    members = sp.csr_matrix((np.ones(len(used)), (codes[used], np.arange(len(used)))), shape=(k, len(used)))
    size = np.bincount(codes[used], minlength=k)[:, None] + pseudo
    total = np.asarray(members @ values[used])
    if pseudo and len(used):
        total += pseudo * values[used].mean(axis=0)
    return np.asarray(np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0))
