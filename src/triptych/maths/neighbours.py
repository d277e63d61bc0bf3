"""Nearest neighbours of rows, found once and shared by whatever looks at neighbourhoods."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController, threadpool_limits

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.progress import track
from triptych.core.protocols import Indices, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.threads import one_thread

ROWS = 1024  # rows searched at once
TREE_MAX_DIM = 8  # a tree beats all pairs up to about this many dimensions

Search = Callable[[Indices], Indices]  # rows (b,) → candidates (b, k)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest rows of each row, itself first.

    Parameters
    ----------
    indices
        Row numbers by increasing distance, shape (n, k); column 0 is the row itself.
    distances
        Euclidean distances in the units of the space, shape (n, k); column 0 is 0.
    """

    indices: NDArray[np.int32]
    distances: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def k(self) -> int:
        """Neighbours of each row, itself counted."""
        return int(self.indices.shape[1])

    def subset(self, k: int) -> Neighbours:
        """The nearest ``k`` of them, itself counted; no copy is made.

        Raises
        ------
        DataError
            When ``k`` is not between 1 and what there is.
        """
        if not 1 <= k <= self.k:
            raise DataError(f"{k} neighbours are wanted and {self.k} were found.", "Find more neighbours.")
        return Neighbours(self.indices[:, :k], self.distances[:, :k])


def nearest(
    x: Matrix, k: int, *, approximate: bool = False, rng: np.random.Generator | None = None
) -> Neighbours:
    """Find the ``k`` nearest rows of each row in Euclidean distance, itself counted and first.

    Exact by default: a k-d tree in few dimensions, else all pairs in blocks of rows, so that memory grows
    with n k. The bits do not depend on the number of threads, which is that of OpenMP
    (``OMP_NUM_THREADS``). Rows at equal distances stand by number; at the last distance any of several may
    be taken.

    Parameters
    ----------
    x
        Shape (n, d).
    k
        How many, 1 to n.
    approximate
        Search with pynndescent, which must be installed: faster beyond about 100 000 rows, and may miss some.
    rng
        Seeds the approximate search, which needs it.

    Raises
    ------
    DataError
        When there are fewer than ``k`` rows, or values are not finite.
    MissingExtraError
        When an approximate search is wanted without pynndescent.
    """
    faults = Faults("neighbours")
    faults.check(x.ndim == 2, f"the space has shape {x.shape}; it needs (n, d).")
    faults.check(1 <= k <= len(x), f"{k} neighbours are wanted among {len(x)} rows, each counting itself.")
    faults.check(bool(np.isfinite(x).all()), "some values are not finite. Leave those rows out.")
    faults.raise_if_any()
    x = np.ascontiguousarray(x, np.float64)
    x = x - x.mean(axis=0)  # smaller norms lose fewer digits
    if approximate:
        return _gather(x, k, _approximate(x, k, rng), workers=1)
    if x.shape[1] <= TREE_MAX_DIM:
        return _gather(x, k, _tree(x, k), workers=threads())
    return _gather(x, k, _all_pairs(x, k), workers=threads())


def _tree(x: Matrix, k: int) -> Search:
    from scipy.spatial import cKDTree

    tree, which = cKDTree(x), np.arange(1, k + 1)
    return lambda rows: np.asarray(tree.query(x[rows], k=which)[1])


def _all_pairs(x: Matrix, k: int) -> Search:
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x)
    return lambda rows: np.asarray(model.kneighbors(x[rows], return_distance=False))


def _approximate(x: Matrix, k: int, rng: np.random.Generator | None) -> Search:
    if rng is None:
        raise ValueError("an approximate search needs rng")
    module: Any = need("pynndescent", "approximate")
    found = module.NNDescent(x, n_neighbors=k, random_state=seed_from(rng)).neighbor_graph[0]
    if (found < 0).any():
        raise DataError("The approximate search found too few neighbours.", "Search exactly.")
    return lambda rows: np.asarray(found[rows])


def threads() -> int:
    """Threads that OpenMP would use here, for kernels whose rows do not depend on each other."""
    import sklearn.neighbors  # noqa: F401  its OpenMP must be loaded to be asked

    pools = ThreadpoolController().select(user_api="openmp").lib_controllers
    return max((pool.num_threads for pool in pools), default=1)


def _gather(x: Matrix, k: int, search: Search, *, workers: int) -> Neighbours:
    """Search in blocks of rows, each in one thread, whatever their number: the same bits."""
    n = len(x)
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k))
    blocks = [np.arange(start, min(start + ROWS, n)) for start in range(0, n, ROWS)]

    def fill(rows: Indices) -> None:
        indices[rows], distances[rows] = _sorted(x, rows, search(rows))

    # The limit of OpenMP holds per thread, that of BLAS for the process.
    limit = partial(threadpool_limits, 1, user_api="openmp")
    with one_thread(), ThreadPoolExecutor(workers, initializer=limit) as pool:
        for _ in track(pool.map(fill, blocks), "neighbours", len(blocks)):
            pass
    return Neighbours(indices, distances)


def _sorted(x: Matrix, rows: Indices, found: Indices) -> tuple[Indices, Matrix]:
    """Measure the candidates anew, without cancellation, and sort them; the row itself first."""
    found = found.copy()
    difference = x[found]
    difference -= x[rows][:, None]
    distance = np.sqrt(np.einsum("ikj,ikj->ik", difference, difference))
    # Rows that coincide may crowd a row out of its own list.
    crowded = np.flatnonzero(~(found == rows[:, None]).any(axis=1))
    found[crowded, distance[crowded].argmax(axis=1)] = rows[crowded]
    distance[found == rows[:, None]] = -1.0
    order = np.lexsort((found, distance), axis=-1)
    distance = np.take_along_axis(distance, order, axis=1)
    distance[:, 0] = 0.0
    return np.take_along_axis(found, order, axis=1), distance
