"""Communities at a given resolution, or as many as are wanted, by the resolution that gives them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from triptych.clusterers.communities import check_community_rows, neighbour_graph
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.communities import seeded

TRIES: Final = 25  # resolutions tried
FACTOR: Final = 4.0  # from one resolution to the next, until one gives too few and one too many
RANGE: Final = (1e-4, 1e6)  # where the search gives up: beyond, nothing merges or falls apart any more
Communities = Callable[[float, int], Codes]  # resolution, seed → the community of each row
Partition = Callable[[Any, list[float], float], Any]  # graph, weights, resolution → igraph's clustering


def communities_of(
    clusterer: str, component: Any, x: Matrix, partition: Partition, rng: np.random.Generator
) -> Codes:
    """Communities of the rows' graph, at the component's resolution or as many as its ``k``.

    Parameters
    ----------
    clusterer
        Its name, for messages.
    component
        `Leiden` or `Louvain`: its ``neighbours``, ``weights``, ``resolution`` and ``k`` are read.
    x
        Shape (n, d).
    partition
        The algorithm.
    rng
        Seeds the order in which nodes are visited.

    Returns
    -------
    Community of each row, shape (n,).

    Raises
    ------
    DataError
        When values are not finite, or there are fewer than two rows or than ``k``.
    """
    check_community_rows(clusterer, x, component.k)
    graph, weights = neighbour_graph(x, component.neighbours, component.weights)

    def communities(resolution: float, seed: int) -> Codes:
        with seeded(seed):
            return np.array(partition(graph, weights, resolution).membership)

    if component.k:
        return counted(clusterer, communities, component.k, component.resolution, rng)
    return communities(component.resolution, seed_from(rng))


def counted(
    clusterer: str, communities: Communities, k: int, start: float, rng: np.random.Generator
) -> Codes:
    """Communities at the resolution that gives ``k`` of them, searched by bisection.

    The number rises with the resolution, though not strictly: each try has a seed of its own, so that a
    number that is missed at one resolution may still be met at the next, which is nearly the same.

    Parameters
    ----------
    clusterer
        Its name, for the warning.
    communities
        Finds them at a resolution, with a seed.
    k
        How many are wanted.
    start
        Resolution tried first.
    rng
        Seeds the tries.

    Returns
    -------
    Community of each row, shape (n,).

    Warns
    -----
    TriptychWarning
        When no resolution gave ``k``; the nearest number is taken then, the first that was found.
    """
    low, high, resolution = 0.0, np.inf, start
    best: Codes = np.empty(0, np.int64)
    best_count, best_at = 0, start
    for _ in range(TRIES):
        found = communities(resolution, seed_from(rng))
        count = len(np.unique(found))
        if not len(best) or abs(count - k) < abs(best_count - k):
            best, best_count, best_at = found, count, resolution
        if count == k or not RANGE[0] < resolution < RANGE[1]:
            break
        low, high = (resolution, high) if count < k else (low, resolution)
        resolution = _between(low, high)
    if best_count != k:
        text = (
            f"{clusterer}: no resolution tried gives {k} clusters; there are {best_count}, "
            f"at resolution {best_at:.3g}."
        )
        warnings.warn(text, TriptychWarning, stacklevel=5)
    return best


def _between(low: float, high: float) -> float:
    """The next resolution: half-way in the logarithm, or further out where nothing bounds it yet."""
    if low == 0.0:
        return high / FACTOR
    if high == np.inf:
        return low * FACTOR
    return float(np.sqrt(low * high))
