"""The layers of a multiplex graph, one for each view, and the communities that they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from triptych.clusterers.communities import neighbour_graph
from triptych.clusterers.door import by_size
from triptych.core.extras import need
from triptych.core.protocols import Codes, Matrix


@dataclass(frozen=True, eq=False)
class Layer:
    """The graph of one view.

    Parameters
    ----------
    graph
        igraph's, of n nodes without directions.
    weights
        Of its edges.
    neighbours
        Nearest rows joined to each.
    resolution
        Higher finds more and smaller communities.
    """

    graph: Any
    weights: list[float]
    neighbours: int
    resolution: float


def layers_of(component: Any, views: Mapping[str, Matrix], tuned: Mapping[str, Any]) -> dict[str, Layer]:
    """The layer of each view, in the order of the roles.

    Parameters
    ----------
    component
        `MultiplexLeiden`: its ``weights``, and ``neighbours`` and ``resolution`` of views that inherit none.
    views
        Role → view, each of shape (n, d).
    tuned
        Role → a model whose component has ``neighbours`` and ``resolution`` of that view.
    """
    layers = {}
    for role in sorted(views):
        source = tuned[role].component if role in tuned else component
        neighbours = min(source.neighbours, len(views[role]) - 1)
        graph, weights = neighbour_graph(views[role], neighbours, component.weights)
        layers[role] = Layer(graph, weights, neighbours, source.resolution)
    return layers


def shares(roles: Sequence[str], lead: str, weight: float) -> dict[str, float]:
    """The weight of each layer, one in all.

    Parameters
    ----------
    roles
        Of the views, two or more.
    lead
        The role that gets ``weight``; the others share the rest evenly.
    weight
        Between 0 and 1.
    """
    rest = (1.0 - weight) / (len(roles) - 1)
    return {role: weight if role == lead else rest for role in roles}


def communities(layers: Mapping[str, Layer], share: Mapping[str, float], iterations: int, seed: int) -> Codes:
    """Communities of the greatest weighted sum of the layers' qualities, by leidenalg.

    Q = Σ w Σ (A(i, j) - γ k(i) k(j) / 2m), the first sum over the layers, the second over the pairs in one
    community, with A the weights of a layer's edges, k their sum at a node, m in all, γ its resolution. A
    layer of more neighbours has more edges to win and so a larger part in Q at the same weight w.

    Parameters
    ----------
    layers
        Role → layer.
    share
        Role → its weight w; a layer of weight 0 is left out.
    iterations
        Passes; below 0 goes on until nothing changes.
    seed
        Of the order in which nodes are visited.

    Returns
    -------
    Codes by falling size, shape (n,).
    """
    leidenalg: Any = need("leidenalg", "multiplex")
    used = [role for role in layers if share[role] > 0]  # a layer of no weight still steers who is visited
    partitions = [
        leidenalg.RBConfigurationVertexPartition(
            layers[role].graph, weights=layers[role].weights, resolution_parameter=layers[role].resolution
        )
        for role in used
    ]
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(seed)
    weights = [share[role] for role in used]
    optimiser.optimise_partition_multiplex(partitions, weights, n_iterations=iterations)
    return by_size(np.array(partitions[0].membership))
