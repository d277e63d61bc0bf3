"""Settings of Leiden that the data choose: the neighbours and the resolution of highest silhouette."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from triptych.clusterers.communities import NeighbourGraphs, check_community_rows
from triptych.clusterers.communities_consensus import Communities, agreed
from triptych.clusterers.communities_count import Partition
from triptych.clusterers.door import by_size
from triptych.clusterers.silhouette_grid import best_of, mean_silhouettes
from triptych.core.progress import track
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.communities import seeded

Numbers = dict[str, int | float]  # setting → the value chosen


def check_search(component: Any) -> None:
    """Refuse parameters of a search or a consensus that are out of range.

    Parameters
    ----------
    component
        `Leiden`.

    Raises
    ------
    ValueError
        With the first at fault.
    """
    if component.k and (component.tune != "no" or component.consensus):
        raise ValueError("tune and consensus do not go with k: leave k at 0, or leave them out")
    if not component.try_neighbours or min(component.try_neighbours) < 1:
        raise ValueError("try_neighbours needs numbers of at least 1")
    if not component.try_resolutions or not min(component.try_resolutions) > 0:
        raise ValueError("try_resolutions needs numbers above 0")
    if component.least < 1:
        raise ValueError("least must be at least 1")
    if component.consensus < 0 or component.consensus == 1:
        raise ValueError("consensus must be 0, for none, or at least 2 partitions")


def searched(
    component: Any, x: Matrix, partition: Partition, rng: np.random.Generator
) -> tuple[Any, Numbers, Codes]:
    """Communities at the settings of highest silhouette, or at those given; agreed upon where that is wanted.

    One seed serves the whole grid and is the first of a consensus. So the settings chosen, given to a
    component that does not search, find the same communities with the same generator.

    Parameters
    ----------
    component
        `Leiden`, with ``tune`` or ``consensus``.
    x
        Shape (n, d).
    partition
        The algorithm.
    rng
        Seeds the order in which nodes are visited.

    Returns
    -------
    The component with the settings chosen; these, with the silhouette that they reached in the search, empty
    without one; and the community of each row, shape (n,).

    Warns
    -----
    TriptychWarning
        When no setting gives ``least`` communities, or when partitions do not come to agree.

    Raises
    ------
    DataError
        When values are not finite, or there are fewer than two rows.
    """
    check_community_rows("leiden", x, 0)
    tuned, seed = component.tune == "silhouette", seed_from(rng)
    most = max(component.try_neighbours) if tuned else component.neighbours
    graphs = NeighbourGraphs.of(x, most, component.weights)
    chosen: Numbers = {}
    if tuned:
        chosen = _best(component, x, graphs, partition, seed)
        component = replace(component, neighbours=chosen["neighbours"], resolution=chosen["resolution"])
    graph, weights = graphs.graph(component.neighbours)
    communities = _at(partition, component.resolution)
    if component.consensus:
        seeds = [seed, *(seed_from(rng) for _ in range(component.consensus - 1))]
        return component, chosen, agreed("leiden", graph, weights, communities, seeds)
    return component, chosen, communities(graph, weights, seed)


def _at(partition: Partition, resolution: float) -> Communities:
    """The algorithm at one resolution."""

    def communities(graph: Any, weights: list[float], seed: int) -> Codes:
        with seeded(seed):
            return by_size(np.array(partition(graph, weights, resolution).membership))

    return communities


def _best(component: Any, x: Matrix, graphs: NeighbourGraphs, partition: Partition, seed: int) -> Numbers:
    """The settings of the grid whose communities have the highest mean silhouette in ``x``."""
    most = graphs.nearest.shape[1]
    counts = dict.fromkeys(min(count, most) for count in component.try_neighbours)
    points = [(count, resolution) for count in counts for resolution in component.try_resolutions]
    found = []
    for count in track(counts, "numbers of neighbours", len(counts)):
        graph, weights = graphs.graph(count)
        found += [_at(partition, r)(graph, weights, seed) for r in component.try_resolutions]
    values = mean_silhouettes(x, found, seed)
    best = best_of("leiden", found, values, component.least)
    neighbours, resolution = points[best]
    return {"neighbours": neighbours, "resolution": resolution, "silhouette": float(values[best])}
