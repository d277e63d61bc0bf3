"""Leiden communities of a weighted graph, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Codes

_lock = Lock()  # igraph has one random number generator for the process


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let igraph draw from a generator of our own, then from Python's as it does by default."""
    import igraph

    with _lock:
        igraph.set_random_number_generator(random.Random(seed))  # noqa: S311
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


def leiden(weights: sp.csr_matrix, resolution: float, seed: int) -> Codes:
    """Communities of greatest modularity (Traag et al. 2019, 10.1038/s41598-019-41695-z).

    Parameters
    ----------
    weights
        Of the edges, symmetric, CSR of shape (n, n).
    resolution
        Higher finds more and smaller communities.
    seed
        Of the order in which nodes are visited.

    Returns
    -------
    Codes by falling size, shape (n,).
    """
    import igraph

    upper = sp.triu(weights, k=1, format="coo")
    graph = igraph.Graph(n=weights.shape[0], edges=np.stack([upper.row, upper.col], axis=1))
    with seeded(seed):
        found = graph.community_leiden(
            objective_function="modularity", weights=upper.data.tolist(), resolution=resolution,
            n_iterations=-1,
        )  # fmt: skip
    codes = np.asarray(found.membership, np.int64)
    order = np.argsort(-np.bincount(codes), kind="stable")
    return np.argsort(order)[codes]
