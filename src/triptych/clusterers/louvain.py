"""Louvain communities of a graph of nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from triptych.clusterers.communities import EdgeWeights, FittedCommunities, check_parameters
from triptych.clusterers.communities_count import communities_of
from triptych.clusterers.door import by_size
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Matrix


@dataclass(frozen=True)
class Louvain:
    """Communities of greatest modularity among exact nearest neighbours, merged level by level.

    Unlike `leiden` it never takes back a merger, and a community may fall apart in the graph; it is here
    because published systems use it.

    Parameters
    ----------
    resolution
        Higher finds more and smaller communities; with ``k``, where the search begins.
    neighbours
        Nearest rows joined to each, itself excluded; fewer when there are not so many.
    weights
        Of the edges. ``jaccard``: the share of neighbours that both ends have; ``one``: all alike.
    k
        Number of communities, to which the resolution is fitted; 0 lets the resolution decide.
    """

    resolution: float = 1.0
    neighbours: int = 15
    weights: EdgeWeights = "jaccard"
    k: int = 0

    finds_k: ClassVar[bool] = True  # no criterion is needed, and some numbers no resolution gives
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1088/1742-5468/2008/10/P10008"

    def __post_init__(self) -> None:
        check_parameters(self.resolution, self.neighbours, self.k)

    def cluster(self, x: Matrix, rng: np.random.Generator) -> Codes:
        """Find the communities of the rows.

        Parameters
        ----------
        x
            Shape (n, d).
        rng
            Seeds the order in which nodes are visited.

        Returns
        -------
        Codes by falling size, shape (n,).

        Warns
        -----
        TriptychWarning
            When no resolution gives ``k`` communities; there are then as many as come nearest.

        Raises
        ------
        DataError
            When values are not finite, or there are fewer than two rows or than ``k``.
        """
        return self.fit(x, rng).value

    def fit(self, x: Matrix, rng: np.random.Generator) -> Fit[Codes, FittedLouvain]:
        """Find the communities of the rows, and keep the rows in single precision.

        Parameters
        ----------
        x, rng
            As for `cluster`.

        Raises
        ------
        DataError
            When values are not finite, or there are fewer than two rows or than ``k``.
        """

        def partition(graph: Any, weights: list[float], resolution: float) -> Any:
            return graph.community_multilevel(weights, resolution=resolution)

        value = by_size(communities_of("louvain", self, x, partition, rng))
        return Fit(value, FittedLouvain(self, np.array(x, np.float32), value))

    def restore(self, folder: Path) -> FittedLouvain:
        """Read the model that was saved in a folder."""
        return FittedLouvain.load(folder)


@dataclass(frozen=True, eq=False)
class FittedLouvain(FittedCommunities):
    """The rows of `Louvain.fit` and the community of each."""

    component: Louvain
