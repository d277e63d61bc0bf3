"""A fitted scanorama: the corrected rows, to which batches never seen are stitched."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.aligners.door import check_sizes
from triptych.aligners.mapping import faults_of_new, need_shapes
from triptych.core.checks import listing
from triptych.core.errors import TriptychWarning
from triptych.core.models import Saved
from triptych.core.protocols import Codes, Matrix
from triptych.maths.threads import one_thread

PART: Final = 5000  # matches weighted at once: memory is n × PART
SMALL: Final = "Lower knn, or merge it with another batch."


@dataclass(frozen=True, eq=False)
class FittedScanorama(Saved):
    """The reference, and how rows are matched to it.

    Parameters
    ----------
    reference
        Corrected rows of the fit in units of ``norm``, shape (n, d), float32.
    norm
        Root mean square norm of the rows of the fit.
    sigma, knn, alpha
        As in `Scanorama`.

    Notes
    -----
    Scanorama has no mapping of its own. This is its step of adding one batch to a panorama, with the
    panorama held fixed: a new row and a row of the reference match when each is among the other's ``knn``
    nearest (city-block distance between rows of unit norm); every new row then moves by the differences of
    the matched pairs, each weighted by a Gaussian of the distance to its new row.
    """

    reference: Matrix
    norm: float
    sigma: float
    knn: int
    alpha: float

    def __post_init__(self) -> None:
        need_shapes((self.reference, (len(self.reference), *self.reference.shape[1:2])))

    def apply(self, x: Matrix, batch: Codes) -> Matrix:
        """Stitch new batches to the reference, which stays where it is.

        Parameters
        ----------
        x
            Shape (n, d), the columns those of the fit.
        batch
            Code of the new batch of each row, shape (n,).

        Returns
        -------
        Shape (n, d). A batch that does not match stays as it is, with a `TriptychWarning`.

        Raises
        ------
        DataError
            When the columns are others, values are not finite, codes are missing, lengths differ, or a
            batch is smaller than ``knn``; all faults together.
        """
        faults = faults_of_new("scanorama", x, batch, self.reference.shape[1])
        check_sizes(faults, batch, self.knn, SMALL)
        faults.raise_if_any()
        moved, alone = np.array(x, np.float64), []
        with one_thread():
            for code in np.unique(batch):
                rows = np.flatnonzero(batch == code)
                new = moved[rows] / self.norm
                matches = self._matches(new)
                if max(_matched(matches), _matched(matches.T)) > self.alpha:
                    moved[rows] += self._bias(new, matches) * self.norm
                else:
                    alone.append(str(code))
        _tell(alone, self.alpha)
        return moved

    def _matches(self, new: Matrix) -> sp.csr_matrix:
        """1 where a row of the batch and one of the reference are mutual nearest neighbours, (new, n)."""
        from sklearn.neighbors import NearestNeighbors
        from sklearn.preprocessing import normalize

        ours, theirs = normalize(new), normalize(self.reference.astype(np.float64))

        def near(rows: Matrix, among: Matrix) -> sp.csr_matrix:
            return sp.csr_matrix(
                NearestNeighbors(n_neighbors=self.knn, p=1).fit(among).kneighbors_graph(rows)
            )

        return sp.csr_matrix(near(ours, theirs).multiply(near(theirs, ours).T))

    def _bias(self, new: Matrix, matches: sp.csr_matrix) -> Matrix:
        """How far each new row moves, shape (new, d); far from every match, not at all."""
        from sklearn.metrics.pairwise import rbf_kernel

        pairs = np.asarray(matches.sum(axis=1))
        towards = matches @ self.reference.astype(np.float64) - pairs * new  # the pairs of a row together
        matched = np.flatnonzero(pairs)
        moves, weights = np.zeros_like(new), np.zeros((len(new), 1))
        for start in range(0, len(matched), PART):
            part = matched[start : start + PART]
            near = rbf_kernel(new, new[part], gamma=self.sigma / 2)
            moves += near @ towards[part]
            weights += near @ pairs[part]
        return np.divide(moves, weights, out=moves, where=weights > 0)


def _matched(matches: sp.csr_matrix) -> float:
    """Share of the rows that have a match."""
    return float((matches.sum(axis=1) > 0).mean())


def _tell(alone: list[str], alpha: float) -> None:
    """Warn of batches that do not overlap with the reference."""
    if alone:
        warnings.warn(
            f"scanorama: new batches {listing(alone)} do not match the fit at alpha {alpha} and stay as is.",
            TriptychWarning,
            stacklevel=3,
        )
