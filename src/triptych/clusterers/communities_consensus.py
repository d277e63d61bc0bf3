"""Consensus of partitions that differ by their seed, on the edges of the graph alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Codes, Indices, Vector

ROUNDS: Final = 10  # of partitions of the graph of shares
SHARE: Final = 0.5  # of the partitions that must keep the ends of an edge together
Communities = Callable[[Any, list[float], int], Codes]  # graph, weights, seed → codes by falling size


def agreed(
    clusterer: str, graph: Any, weights: list[float], communities: Communities, seeds: Sequence[int]
) -> Codes:
    """Partition a graph until all seeds give the same (Lancichinetti and Fortunato 2012).

    D(i, j) = share of the partitions in which i and j are together; what is below 0.5 drops, the graph
    weighted by D is partitioned with every seed, and so on. Their D is of all pairs; here it is kept to the
    edges of the graph, as nodes that share none are seldom held together by it.

    Parameters
    ----------
    clusterer
        Its name, for the warning.
    graph
        igraph's, of n nodes without directions.
    weights
        Of its edges.
    communities
        The algorithm.
    seeds
        One for each partition.

    Returns
    -------
    Codes by falling size, shape (n,).

    Warns
    -----
    TriptychWarning
        When partitions still differ after `ROUNDS` rounds; the one nearest to all is taken then.
    """
    ends = np.array(graph.get_edgelist(), np.int64).reshape(-1, 2)
    found = [communities(graph, weights, seed) for seed in seeds]
    for _ in range(ROUNDS):
        if _same(found):
            return found[0]
        held, held_weights = _held(graph, ends, _share(found, ends))
        found = [communities(held, held_weights, seed) for seed in seeds]
    if not _same(found):
        text = (
            f"{clusterer}: after {ROUNDS} rounds the {len(seeds)} partitions still differ; the one nearest "
            "to all is taken. Raise consensus, or lower the resolution."
        )
        warnings.warn(text, TriptychWarning, stacklevel=4)
    return _nearest(found, ends)


def _same(found: list[Codes]) -> bool:
    return all(np.array_equal(codes, found[0]) for codes in found[1:])


def _together(codes: Codes, ends: Indices) -> Any:
    """Whether the ends of each edge are in one community."""
    return codes[ends[:, 0]] == codes[ends[:, 1]]


def _share(found: list[Codes], ends: Indices) -> Vector:
    """The share of partitions in which the ends of each edge are together."""
    total = np.zeros(len(ends))
    for codes in found:
        total += _together(codes, ends)
    return total / len(found)


def _held(graph: Any, ends: Indices, share: Vector) -> tuple[Any, list[float]]:
    """The graph of the edges that hold, and their shares; a node that would lose all keeps its strongest."""
    import igraph

    strongest = np.zeros(graph.vcount())
    np.maximum.at(strongest, ends.ravel(), np.repeat(share, 2))
    lost = (strongest < SHARE)[ends] & (share[:, None] == strongest[ends])
    kept = (share > 0) & ((share >= SHARE) | lost.any(axis=1))
    return igraph.Graph(n=graph.vcount(), edges=ends[kept]), share[kept].tolist()


def _nearest(found: list[Codes], ends: Indices) -> Codes:
    """The partition that agrees with most of the others on most edges; the first of those that tie."""
    margin = 2 * _share(found, ends) - 1
    return found[int(np.argmax([margin[_together(codes, ends)].sum() for codes in found]))]
