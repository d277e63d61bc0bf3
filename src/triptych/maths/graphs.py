"""Neighbours: in the tissue, section by section, and in a space of features."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Indices, Matrix, Places

ROWS = 4096  # rows of a graph handled at once


def sections(sample: Codes) -> list[Indices]:
    """Row numbers of each section, ascending, one array per section.

    Parameters
    ----------
    sample
        Code of the section of each observation, shape (n,).
    """
    order = np.argsort(sample, kind="stable")
    cuts = np.flatnonzero(np.diff(sample[order])) + 1
    return [rows for rows in np.split(order, cuts) if len(rows)]


def nearest_places(places: Places, neighbours: int) -> sp.csr_matrix:
    """Which places are nearest to each place, itself included, within its section.

    Parameters
    ----------
    places
        Where the n observations lie; distances are taken in ``places.um``.
    neighbours
        How many, counting the place itself. A section with fewer places gives all it has.

    Returns
    -------
    Ones, CSR of shape (n, n) with at most ``neighbours`` entries in a row.

    Raises
    ------
    DataError
        When a coordinate is not finite or the two arrays differ in length.
    """
    n = len(places.um)
    faults = Faults("places")
    faults.check(places.um.ndim == 2, f"coordinates have shape {places.um.shape}; they need (n, 2).")
    faults.check(len(places.sample) == n, f"{n} coordinates but {len(places.sample)} section codes.")
    faults.check(bool(np.isfinite(places.um).all()), "some coordinates are not finite. Remove those rows.")
    faults.raise_if_any()
    rows: list[Indices] = [np.empty(0, np.intp)]
    columns: list[Indices] = [np.empty(0, np.intp)]
    for section in sections(places.sample):
        found = _nearest_within(places.um[section], min(neighbours, len(section)))
        rows.append(np.repeat(section, found.shape[1]))
        columns.append(section[found].ravel())
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.ones(len(row)), (row, column)), shape=(n, n))


def _nearest_within(um: Matrix, count: int) -> Indices:
    """The ``count`` nearest of one section, shape (m, count), always with the place itself."""
    found = np.asarray(cKDTree(um).query(um, k=np.arange(1, count + 1))[1], np.intp)
    own = np.arange(len(um))
    # Places that coincide may crowd a place out of its own list.
    crowded = ~(found == own[:, None]).any(axis=1)
    found[crowded, -1] = own[crowded]
    return found


def averaging(places: Places, neighbours: int) -> sp.csr_matrix:
    """The operator that averages each place with its nearest ones.

    Parameters
    ----------
    places
        Where the n observations lie.
    neighbours
        How many others; the place itself is counted besides.

    Returns
    -------
    CSR of shape (n, n), each row summing to one.
    """
    graph = nearest_places(places, neighbours + 1)
    degree = np.diff(graph.indptr)
    return sp.csr_matrix((np.repeat(1.0 / degree, degree), graph.indices, graph.indptr), shape=graph.shape)


def nearest_rows(x: Matrix, neighbours: int) -> sp.csr_matrix:
    """Exact nearest neighbours of rows in Euclidean distance, self excluded.

    Parameters
    ----------
    x
        Shape (n, d).
    neighbours
        How many, at most n - 1.

    Returns
    -------
    Ones, CSR of shape (n, n).
    """
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=neighbours).fit(x)
    return sp.csr_matrix(model.kneighbors_graph())


def jaccard(graph: sp.csr_matrix) -> sp.csr_matrix:
    """Weight each edge by the share of neighbours that its two ends have in common.

    J(i, j) = #(N(i) ∩ N(j)) / #(N(i) ∪ N(j)), a point belonging to its own neighbourhood.

    Parameters
    ----------
    graph
        Directed neighbours without self, ones, CSR of shape (n, n).

    Returns
    -------
    Symmetric weights, CSR of shape (n, n); an edge in either direction counts.
    """
    n = graph.shape[0]
    around = sp.csr_matrix(graph + sp.identity(n, format="csr"))
    edges = sp.csr_matrix(graph.maximum(graph.T))
    size = np.diff(around.indptr)
    blocks = []
    for start in range(0, n, ROWS):
        rows = slice(start, start + ROWS)
        shared = (around[rows] @ around.T).multiply(edges[rows]).tocoo()
        union = size[rows][shared.row] + size[shared.col] - shared.data
        blocks.append(sp.csr_matrix((shared.data / union, (shared.row, shared.col)), shape=shared.shape))
    return sp.csr_matrix(sp.vstack(blocks, format="csr"))
