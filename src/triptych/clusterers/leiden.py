"""Leiden communities of a graph of nearest neighbours, at settings that are given or that the data choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from triptych.clusterers.communities import EdgeWeights, FittedCommunities, check_parameters
from triptych.clusterers.communities_count import communities_of
from triptych.clusterers.door import by_size
from triptych.clusterers.leiden_search import Numbers, check_search, searched
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Matrix


@dataclass(frozen=True)
class Leiden:
    """Communities of greatest modularity among exact nearest neighbours; their number follows from the data.

    Parameters
    ----------
    resolution
        Higher finds more and smaller communities; with ``k``, where the search begins.
    neighbours
        Nearest rows joined to each, itself excluded; fewer when there are not so many.
    weights
        Of the edges. ``jaccard``: the share of neighbours that both ends have; ``one``: all alike.
    iterations
        Passes of the algorithm; 0 goes on until nothing changes.
    k
        Number of communities, to which the resolution is fitted; 0 lets the resolution decide.
    tune
        ``silhouette``: of the numbers of neighbours and resolutions tried, those whose communities have the
        highest mean silhouette in the space (of 20 000 rows, where there are more) take the place of those
        given. ``no``: as given.
    try_neighbours
        Numbers of neighbours to try.
    try_resolutions
        Resolutions to try.
    least
        Fewest communities of a partition that may be chosen.
    consensus
        Partitions of different seeds that are brought to agree; 0 trusts one. Each edge is weighted by the
        share of them that keep its ends together, and so again until all are the same (Lancichinetti and
        Fortunato 2012, doi:10.1038/srep00336).
    """

    resolution: float = 1.0
    neighbours: int = 15
    weights: EdgeWeights = "jaccard"
    iterations: int = 0
    k: int = 0
    tune: Literal["no", "silhouette"] = "no"
    try_neighbours: tuple[int, ...] = (5, 10, 15, 30, 50)
    try_resolutions: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
    least: int = 5
    consensus: int = 0

    finds_k: ClassVar[bool] = True  # no criterion is needed, and some numbers no resolution gives
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1038/s41598-019-41695-z"

    def __post_init__(self) -> None:
        check_parameters(self.resolution, self.neighbours, self.k)
        if self.iterations < 0:
            raise ValueError("iterations must not be negative")
        check_search(self)

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
            When no resolution gives ``k`` communities, there are then as many as come nearest; when no
            setting tried gives ``least``; or when partitions do not come to agree.

        Raises
        ------
        DataError
            When values are not finite, or there are fewer than two rows or than ``k``.
        """
        return self.fit(x, rng).value

    def fit(self, x: Matrix, rng: np.random.Generator) -> Fit[Codes, FittedLeiden]:
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
        if self.tune == "no" and not self.consensus:
            value = by_size(communities_of("leiden", self, x, self._partition, rng))
            return Fit(value, FittedLeiden(self, np.array(x, np.float32), value))
        settled, chosen, value = searched(self, x, self._partition, rng)
        return Fit(value, FittedLeiden(settled, np.array(x, np.float32), value, chosen))

    def restore(self, folder: Path) -> FittedLeiden:
        """Read the model that was saved in a folder."""
        return FittedLeiden.load(folder)

    def _partition(self, graph: Any, weights: list[float], resolution: float) -> Any:
        return graph.community_leiden(
            objective_function="modularity",
            weights=weights,
            resolution=resolution,
            n_iterations=self.iterations or -1,
        )


@dataclass(frozen=True, eq=False)
class FittedLeiden(FittedCommunities):
    """The rows of `Leiden.fit` and the community of each.

    Parameters
    ----------
    component, space, labels
        As for `FittedCommunities`; the component has the settings chosen.
    chosen
        ``neighbours`` and ``resolution`` that the data chose, and the mean ``silhouette`` of the communities
        there, before any consensus; empty where nothing was chosen.
    """

    component: Leiden
    chosen: Numbers = field(default_factory=dict)
