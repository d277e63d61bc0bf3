"""Leiden communities of a graph of nearest neighbours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from triptych.clusterers.door import by_size, check_rows
from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.graphs import jaccard, nearest_rows
from triptych.maths.threads import one_thread

_lock = Lock()  # igraph has one random number generator for the process


@dataclass(frozen=True)
class Leiden:
    """Communities of greatest modularity among exact nearest neighbours; their number follows from the data.

    Parameters
    ----------
    resolution
        Higher finds more and smaller communities.
    neighbours
        Nearest rows joined to each, itself excluded; fewer when there are not so many.
    weights
        Of the edges. ``jaccard``: the share of neighbours that both ends have; ``one``: all alike.
    iterations
        Passes of the algorithm; 0 goes on until nothing changes.
    """

    resolution: float = 1.0
    neighbours: int = 15
    weights: Literal["jaccard", "one"] = "jaccard"
    iterations: int = 0

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1038/s41598-019-41695-z"

    def __post_init__(self) -> None:
        if not self.resolution > 0:
            raise ValueError("resolution must be above 0")
        if self.neighbours < 1 or self.iterations < 0:
            raise ValueError("neighbours must be at least 1 and iterations must not be negative")

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

        Raises
        ------
        DataError
            When values are not finite or there are fewer than two rows.
        """
        check_rows("leiden", x)
        if len(x) < 2:
            raise DataError("leiden: one observation has no neighbours.", "Keep more observations.")
        with one_thread():
            graph = nearest_rows(x, min(self.neighbours, len(x) - 1))
        edges = sp.csr_matrix(graph.maximum(graph.T)) if self.weights == "one" else jaccard(graph)
        return by_size(self._communities(edges, seed_from(rng)))

    def _communities(self, edges: sp.csr_matrix, seed: int) -> Codes:
        import igraph

        upper = sp.triu(edges, k=1, format="coo")
        graph = igraph.Graph(n=edges.shape[0], edges=np.stack([upper.row, upper.col], axis=1))
        with _seeded(seed):
            found = graph.community_leiden(
                objective_function="modularity",
                weights=upper.data.tolist(),
                resolution=self.resolution,
                n_iterations=self.iterations or -1,
            )
        return np.array(found.membership)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let igraph draw from a generator of our own, then from Python's as it does by default."""
    import igraph

    with _lock:
        igraph.set_random_number_generator(random.Random(seed))  # noqa: S311
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)
