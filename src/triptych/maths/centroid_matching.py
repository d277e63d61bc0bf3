"""True and found nuclei matched one to one by their centroids: as many pairs as possible, the nearest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices

AT_ONCE: Final = 512  # candidates of the groups that are solved together; a group may have more


class Candidates(NamedTuple):
    """Pairs of nuclei that may be matched; all of shape (p,).

    Attributes
    ----------
    truth, guess
        Their rows.
    um
        Their distance.
    """

    truth: Indices
    guess: Indices
    um: NDArray[np.float64]


def matched_centroids(overlaps: Overlaps, radius_um: float) -> tuple[Indices, Indices]:
    """Rows of the true and the found nuclei of each pair, both of shape (p,).

    Of all matchings one to one within an image of centroids that lie at most ``radius_um`` apart, one with
    the most pairs, and of these the one with the smallest sum of distances. Most nuclei have one candidate,
    whose only candidate they are; the others fall into small groups, which are solved some at a time as
    sparse problems of assignment, so memory grows with the candidates.

    Parameters
    ----------
    overlaps
        Centroids in µm.
    radius_um
        Largest distance.
    """
    near = _candidates(overlaps, radius_um)
    t, g = overlaps.truth["x_um"], overlaps.guess["x_um"]
    graph = sp.coo_matrix(
        (np.ones(len(near.um)), (near.truth, near.guess + len(t))), shape=(len(t) + len(g),) * 2
    )
    group = connected_components(graph, directed=False)[1][near.truth]
    alone = np.bincount(group)[group] == 1
    chosen = [np.flatnonzero(alone), *(_assigned(near, some) for some in _problems(group, ~alone))]
    pairs = np.sort(np.concatenate(chosen))
    return near.truth[pairs], near.guess[pairs]


def _problems(group: Indices, open_: NDArray[np.bool_]) -> Iterator[Indices]:
    """The candidates to choose from, whole groups together, some hundred at once: each call has its price."""
    order = np.argsort(group, kind="stable")
    order = order[open_[order]]
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    problem = np.repeat(first // AT_ONCE, np.diff(np.append(first, len(order))))
    yield from np.split(order, np.flatnonzero(np.diff(problem)) + 1) if len(order) else ()


def _candidates(overlaps: Overlaps, radius_um: float) -> Candidates:
    # Nuclei are put in the order of their places, so that ties do not depend on their numbers; images lie
    # in planes too far apart for candidates.
    sides = [_placed(table, radius_um) for table in (overlaps.truth, overlaps.guess)]
    trees = [KDTree(places) for _, places in sides]
    found = trees[0].sparse_distance_matrix(trees[1], radius_um, output_type="ndarray")
    found = found[np.lexsort((found["j"], found["i"]))]
    return Candidates(sides[0][0][found["i"]], sides[1][0][found["j"]], found["v"])


def _placed(table: Mapping[str, NDArray[Any]], radius_um: float) -> tuple[Indices, NDArray[np.float64]]:
    """Rows in the order of their places, and the places, shape (n, 3)."""
    order = np.lexsort((table["x_um"], table["y_um"], table["image"]))
    columns = (table["x_um"], table["y_um"], table["image"] * (4.0 * radius_um))
    return order, np.stack(columns, axis=1)[order].astype(np.float64)


def _assigned(near: Candidates, some: Indices) -> Indices:
    """Which of the candidates of some groups are matched."""
    t, g = (np.unique(rows[some], return_inverse=True) for rows in (near.truth, near.guess))
    n, m = len(t[0]), len(g[0])
    # Each true nucleus may stay alone, at a price that no distances outweigh; a price of 0 would be no edge.
    alone = (min(n, m) + 2) * (float(near.um[some].max()) + 1.0)
    cost = np.concatenate([near.um[some] + 1.0, np.full(n, alone)])
    row, column = np.concatenate([t[1], np.arange(n)]), np.concatenate([g[1], m + np.arange(n)])
    rows, columns = min_weight_full_bipartite_matching(sp.csr_matrix((cost, (row, column)), (n, m + n)))
    taken = np.full(n, -1)
    taken[rows] = columns
    return np.asarray(some[taken[t[1]] == g[1]])
