"""Leiden communities of a graph of nearest neighbours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.clusterers.door import by_size, check_like, check_rows
from triptych.core.errors import DataError
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.graphs import jaccard, nearest_rows
from triptych.maths.threads import one_thread

ROWS = 4096  # rows that vote at once
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
            When values are not finite or there are fewer than two rows.
        """
        check_rows("leiden", x)
        if len(x) < 2:
            raise DataError("leiden: one observation has no neighbours.", "Keep more observations.")
        with one_thread():
            graph = nearest_rows(x, min(self.neighbours, len(x) - 1))
        edges = sp.csr_matrix(graph.maximum(graph.T)) if self.weights == "one" else jaccard(graph)
        value = by_size(self._communities(edges, seed_from(rng)))
        return Fit(value, FittedLeiden(self, np.array(x, np.float32), value))

    def restore(self, folder: Path) -> FittedLeiden:
        """Read the model that was saved in a folder."""
        return FittedLeiden.load(folder)

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


@dataclass(frozen=True, eq=False)
class FittedLeiden(Saved):
    """The rows of `Leiden.fit` and the community of each.

    Parameters
    ----------
    component
        With which parameters.
    space
        Shape (n, d).
    labels
        Codes, shape (n,).
    """

    component: Leiden
    space: NDArray[np.float32]
    labels: Codes

    def __post_init__(self) -> None:
        if self.space.ndim != 2 or self.labels.shape != (len(self.space),):
            raise ValueError(f"labels of shape {self.labels.shape} do not fit a space of {self.space.shape}")

    def apply(self, x: Matrix) -> Codes:
        """Give each row to the community that most of its nearest rows of the fit belong to.

        This classifies by the communities of the fit and finds no new ones: rows like none of the fit go
        to whichever is nearest, and a row of the fit may leave a community that its neighbours are not in.
        On a tie the community of the nearest row among the tied wins.

        Parameters
        ----------
        x
            Shape (n, d).

        Returns
        -------
        Codes of the fit, shape (n,).

        Raises
        ------
        DataError
            When values are not finite or the columns are not as many as in the fit.
        """
        from sklearn.neighbors import NearestNeighbors

        check_like("leiden", x, self.space.shape[1])
        count = min(self.component.neighbours, len(self.space))
        blocks = []
        with one_thread():
            model = NearestNeighbors(n_neighbors=count).fit(self.space)
            for start in range(0, len(x), ROWS):
                rows = np.asarray(x[start : start + ROWS], np.float32)
                blocks.append(_elected(self.labels[model.kneighbors(rows, return_distance=False)]))
        return np.concatenate(blocks)


def _elected(labels: Codes) -> Codes:
    """The most frequent label of each row of (n, k), the leftmost of those that tie."""
    votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
    return np.asarray(np.take_along_axis(labels, votes.argmax(axis=1)[:, None], axis=1)[:, 0])


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
