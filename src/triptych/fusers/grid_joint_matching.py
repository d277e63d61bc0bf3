"""Who is like whom in other sections: mutual nearest neighbours, and the shifts between sections."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from triptych.core.protocols import Codes, Indices, Matrix
from triptych.fusers.grid_labels import view_labels
from triptych.maths.graphs import sections
from triptych.maths.threads import one_thread

if TYPE_CHECKING:
    from triptych.nets.grid import Encoder
    from triptych.nets.grid_joint import Matches
    from triptych.nets.grid_training import Windows

WHOLE, LOCAL = 2, 2  # rounds of moving sections as they are, and observation by observation
PARTNERS = 4  # kept of each observation
SMOOTHED = 30  # pairs near an observation whose shifts are averaged
TINY = 1e-12  # below any distance


@dataclass(frozen=True, eq=False)
class Matching:
    """Says who is alike across sections: before training from given features, later from the codes.

    Parameters
    ----------
    start
        Features of the observations and their surroundings, shape (n, d).
    sample
        Code of the section, shape (n,).
    windows
        Of the n observations.
    clusters, neighbours, anchors
        As of `GridJoint`.
    rng
        Draws anchors, clusters and partners.
    """

    start: Matrix
    sample: Codes
    windows: Windows
    clusters: int
    neighbours: int
    anchors: int
    rng: np.random.Generator

    def __call__(self, encoder: Encoder | None) -> Matches:
        """Match by ``start``, or by the codes of an encoder as it is."""
        import torch

        from triptych.nets.grid_joint import Matches
        from triptych.nets.grid_training import embed, population_statistics

        x = self.start
        if encoder is not None:
            x = embed(encoder, population_statistics(encoder, self.windows), self.windows)
        anchors = draw_anchors(self.sample, self.anchors, self.rng)
        moved, pairs = brought_together(x, self.sample, anchors, k=self.neighbours)
        labels, clusters = view_labels(moved, self.clusters, self.rng)
        partners = partner_table(pairs, len(x), PARTNERS, self.rng)
        device = self.windows.index.device
        return Matches(
            torch.as_tensor(labels, device=device), clusters, torch.as_tensor(partners, device=device)
        )


def draw_anchors(sample: Codes, most: int, rng: np.random.Generator) -> list[Indices]:
    """Rows of each section among which pairs are sought: all, or so many drawn at random.

    Parameters
    ----------
    sample
        Code of the section, shape (n,).
    most
        Rows of a section, at most.
    rng
        Draws them.
    """
    return [
        rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
        for rows in sections(sample)
    ]


def mutual_pairs(x: Matrix, anchors: list[Indices], k: int) -> NDArray[np.int64]:
    """Pairs of rows of two sections, each among the k nearest of the other in the other's section.

    An observation of a domain that the other section lacks is seldom in a pair: those that are nearest to
    it there have nearer neighbours of their own kind (Haghverdi et al. 2018, 10.1038/nbt.4091).

    Parameters
    ----------
    x
        Shape (n, d).
    anchors
        Rows of each section.
    k
        Neighbours looked at on either side.

    Returns
    -------
        Rows i and j, both (i, j) and (j, i), shape (p, 2), sorted.
    """
    with one_thread():
        searches = [NearestNeighbors(algorithm="brute").fit(x[rows]) for rows in anchors]
        found = [np.empty((0, 2), np.int64)]
        for a, b in combinations(range(len(anchors)), 2):
            ahead = _neighbours(searches[b], x[anchors[a]], k)
            back = _neighbours(searches[a], x[anchors[b]], k)
            i, j = ahead.multiply(back.T).nonzero()
            pairs = np.column_stack([anchors[a][i], anchors[b][j]])
            found += [pairs, pairs[:, ::-1]]
    joined = np.concatenate(found).astype(np.int64)
    return joined[np.lexsort(joined.T[::-1])]


def _neighbours(search: NearestNeighbors, x: Matrix, k: int) -> sp.csr_matrix:
    k = min(k, search.n_samples_fit_)
    return sp.csr_matrix(search.kneighbors_graph(x, k))


def brought_together(
    x: Matrix, sample: Codes, anchors: list[Indices], *, k: int
) -> tuple[Matrix, NDArray[np.int64]]:
    """Move the sections onto each other by what their mutual neighbours say.

    Sections are centred, so that a shift of any size is overcome; where they hold other mixtures of domains,
    that puts them wrong. The first rounds therefore move each section as a whole by the median over its
    pairs, later ones each observation by the average over the pairs nearest to it in its section, so that
    what has no partner goes along with its surroundings and keeps its distance from them.

    Parameters
    ----------
    x
        Shape (n, d).
    sample
        Code of the section, shape (n,).
    anchors
        Rows of each section.
    k
        Neighbours looked at.

    Returns
    -------
        The moved observations, shape (n, d), and the pairs among them, shape (p, 2).
    """
    x = np.array(x, np.float64)
    if len(anchors) < 2:
        return x, np.empty((0, 2), np.int64)
    for rows in sections(sample):
        x[rows] -= x[rows].mean(axis=0)
    pairs = mutual_pairs(x, anchors, k)
    for step in range(WHOLE + LOCAL):
        x = x + _shifts(x, sample, pairs, whole=step < WHOLE)
        pairs = mutual_pairs(x, anchors, k)
    return x, pairs


def _shifts(x: Matrix, sample: Codes, pairs: NDArray[np.int64], *, whole: bool) -> Matrix:
    """How far each observation should move, shape (n, d): towards the mean of all sections."""
    own, count = np.unique(pairs[:, 0], return_counts=True)
    shift = np.zeros_like(x)
    if not len(own):
        return shift
    apart = np.add.reduceat(x[pairs[:, 1]] - x[pairs[:, 0]], np.cumsum(count) - count) / count[:, None]
    groups = sections(sample)
    apart *= (len(groups) - 1) / len(groups)
    for rows in groups:
        here = np.isin(own, rows)
        if here.any():
            wanted = apart[here]
            shift[rows] = np.median(wanted, axis=0) if whole else _smoothed(x[rows], x[own[here]], wanted)
    return shift


def _smoothed(x: Matrix, at: Matrix, shift: Matrix) -> Matrix:
    """Average of the shifts nearest to each row, weighted by a Gaussian of their distances."""
    with one_thread():
        search = NearestNeighbors(n_neighbors=min(SMOOTHED, len(at)), algorithm="brute").fit(at)
        distance, index = search.kneighbors(x)
    weight = np.exp(-0.5 * np.square(distance / np.maximum(distance[:, -1:] / 2, TINY)))
    weight /= weight.sum(axis=1, keepdims=True)
    moved: Matrix = np.einsum("nk,nkd->nd", weight, shift[index])
    return moved


def partner_table(
    pairs: NDArray[np.int64], n: int, width: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Partners of each row in other sections.

    Parameters
    ----------
    pairs
        From `mutual_pairs`.
    n
        Rows.
    width
        Partners kept, drawn at random where there are more.
    rng
        Draws them.

    Returns
    -------
        Shape (n, width), filled up by repetition; -1 where there is none.
    """
    table = np.full((n, width), -1, np.int64)
    mixed = pairs[rng.permutation(len(pairs))]
    mixed = mixed[np.argsort(mixed[:, 0], kind="stable")]
    own, start, count = np.unique(mixed[:, 0], return_index=True, return_counts=True)
    turn = np.arange(width)[None, :] % np.maximum(count, 1)[:, None]
    table[own] = mixed[start[:, None] + turn, 1]
    return table
