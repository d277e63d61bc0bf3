"""What clusterers by communities share: the graph of nearest neighbours, and a model that lets rows vote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.clusterers.door import check_like, check_rows
from triptych.core.errors import DataError
from triptych.core.models import Saved
from triptych.core.protocols import Codes, Indices, Matrix
from triptych.maths.graphs import jaccard, nearest_rows
from triptych.maths.threads import one_thread

ROWS: Final = 4096  # rows that vote at once

EdgeWeights: TypeAlias = Literal["jaccard", "one"]


def check_parameters(resolution: float, neighbours: int, k: int) -> None:
    """Refuse parameters out of range.

    Raises
    ------
    ValueError
        With the first at fault.
    """
    if not resolution > 0:
        raise ValueError("resolution must be above 0")
    if neighbours < 1:
        raise ValueError("neighbours must be at least 1")
    if k < 0:
        raise ValueError("k must not be negative; 0 lets the resolution decide")


def check_community_rows(clusterer: str, x: Matrix, k: int) -> None:
    """Refuse rows that make no graph, and more communities than rows.

    Parameters
    ----------
    clusterer
        Its name, to open the message.
    x
        Shape (n, d).
    k
        Number of communities wanted; 0 for any.

    Raises
    ------
    DataError
        With what there is.
    """
    if sp.issparse(x):
        raise DataError(f"{clusterer}: the space is sparse.", "Reduce it first, e.g. encode with pca.")
    check_rows(clusterer, x)
    if len(x) < 2:
        raise DataError(f"{clusterer}: one observation has no neighbours.", "Keep more observations.")
    if k > len(x):
        raise DataError(
            f"{clusterer}: {k} clusters cannot be made of {len(x)} observations.",
            f"Set k to at most {len(x)}, or keep more observations.",
        )


@dataclass(frozen=True, eq=False)
class NeighbourGraphs:
    """Graphs of any number of nearest rows, from one search for the most.

    Parameters
    ----------
    nearest
        The nearest rows of each, itself excluded, by increasing distance, shape (n, most).
    weights
        Of the edges, as for `neighbour_graph`.
    """

    nearest: Indices
    weights: EdgeWeights

    @classmethod
    def of(cls, x: Matrix, most: int, weights: EdgeWeights) -> NeighbourGraphs:
        """Search the ``most`` nearest of each row of ``x``, shape (n, d), or as many as there are."""
        with one_thread():
            found = nearest_rows(x, min(most, len(x) - 1))
        return cls(found.indices.reshape(len(x), -1), weights)

    def graph(self, neighbours: int) -> tuple[Any, list[float]]:
        """What `neighbour_graph` gives for as many neighbours, at most those that were searched."""
        import igraph

        indices = self.nearest[:, :neighbours]
        n, count = indices.shape
        ends = np.arange(0, n * count + 1, count)
        nearest = sp.csr_matrix((np.ones(n * count), indices.ravel(), ends), shape=(n, n))
        edges = sp.csr_matrix(nearest.maximum(nearest.T)) if self.weights == "one" else jaccard(nearest)
        upper = sp.triu(edges, k=1, format="coo")
        graph = igraph.Graph(n=n, edges=np.stack([upper.row, upper.col], axis=1))
        return graph, upper.data.tolist()


def neighbour_graph(x: Matrix, neighbours: int, weights: EdgeWeights) -> tuple[Any, list[float]]:
    """The graph in which each row is joined to its exact nearest ones, and the weights of its edges.

    Parameters
    ----------
    x
        Shape (n, d).
    neighbours
        Nearest rows joined to each, itself excluded; fewer when there are not so many.
    weights
        ``jaccard``: the share of neighbours that both ends have; ``one``: all alike.

    Returns
    -------
    An igraph graph of n nodes without directions, and one weight for each edge.
    """
    return NeighbourGraphs.of(x, neighbours, weights).graph(neighbours)


def nearest_labels(space: Matrix, labels: Codes, x: Matrix, neighbours: int) -> Iterator[Codes]:
    """Labels of the rows of a fit that are nearest to others, block by block.

    Parameters
    ----------
    space
        Rows of the fit, shape (n, d).
    labels
        Of each, shape (n,).
    x
        The others, shape (m, d).
    neighbours
        How many; fewer when the fit has not so many.

    Yields
    ------
    Labels by increasing distance, shape (b, neighbours), of at most `ROWS` rows.
    """
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=min(neighbours, len(space))).fit(space)
    for start in range(0, len(x), ROWS):
        rows = np.asarray(x[start : start + ROWS], np.float32)
        yield labels[model.kneighbors(rows, return_distance=False)]


@dataclass(frozen=True, eq=False)
class FittedCommunities(Saved):
    """The rows of a fit and the community of each.

    Parameters
    ----------
    component
        With which parameters.
    space
        Shape (n, d).
    labels
        Codes, shape (n,).
    """

    component: Any
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
        check_like(type(self.component).__name__.lower(), x, self.space.shape[1])
        with one_thread():
            around = nearest_labels(self.space, self.labels, x, self.component.neighbours)
            return np.concatenate([_elected(labels) for labels in around])


def _elected(labels: Codes) -> Codes:
    """The most frequent label of each row of (n, k), the leftmost of those that tie."""
    votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
    return np.asarray(np.take_along_axis(labels, votes.argmax(axis=1)[:, None], axis=1)[:, 0])
