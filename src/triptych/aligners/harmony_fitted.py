"""A fitted harmony: soft clusters of the reference, to which batches never seen are brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from triptych.aligners.door import check_directions
from triptych.aligners.mapping import each_batch, faults_of_new, need_shapes
from triptych.core.models import Saved
from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.threads import one_thread


@dataclass(frozen=True, eq=False)
class FittedHarmony(Saved):
    """What is kept of the reference: two sums for each soft cluster.

    Parameters
    ----------
    mass
        Sum of the memberships in each cluster, N_k, shape (k,).
    sums
        Sum of the corrected rows weighted by them, C_k, shape (k, d); its direction is the centroid.
    sigma
        Width of the soft clusters.
    lamb
        Ridge penalty of the effects of the new batch.

    Notes
    -----
    The mapping of Symphony (Kang et al. 2021, 10.1038/s41467-021-25957-x). A new row x belongs to cluster k
    by r_k ∝ exp(2(cos(x, C_k) − 1)/σ). In each cluster the rows of the reference, all of batch "none", and
    of the new batch, with n_k = Σ r_k and s_k = Σ r_k x, are regressed on an intercept, which is not
    penalised, and the new batch's effect β_k, which is. Of the two normal equations only the second is
    wanted: β_k = (N_k s_k − n_k C_k) / (N_k n_k + λ(N_k + n_k)), and x moves by −Σ r_k β_k. Symphony solves
    for all new batches together, through one intercept; here each is alone.
    """

    mass: Vector
    sums: Matrix
    sigma: float
    lamb: float

    def __post_init__(self) -> None:
        clusters = len(self.mass)
        need_shapes((self.mass, (clusters,)), (self.sums, (clusters, *self.sums.shape[1:2])))
        if not clusters or not (self.mass > 0).all():
            raise ValueError("a cluster is empty")

    @classmethod
    def of(cls, member: Matrix, corrected: Matrix, sigma: float, lamb: float) -> Self:
        """Keep the sums of a reference.

        Parameters
        ----------
        member
            Soft clusters of its rows, shape (n, k).
        corrected
            Shape (n, d).
        sigma, lamb
            As above.
        """
        mass, sums = member.sum(axis=0), member.T @ corrected
        filled = mass > 0
        return cls(mass[filled], sums[filled], sigma, lamb)

    def apply(self, x: Matrix, batch: Codes) -> Matrix:
        """Bring new batches to the reference, which stays where it is.

        Parameters
        ----------
        x
            Shape (n, d), the columns those of the fit, e.g. principal components of the same axes.
        batch
            Code of the new batch of each row, shape (n,).

        Returns
        -------
        Shape (n, d).

        Raises
        ------
        DataError
            When the columns are others, values are not finite, rows are all zero, codes are missing, or
            lengths differ; all faults together.
        """
        faults = faults_of_new("harmony", x, batch, self.sums.shape[1])
        check_directions(faults, x)
        faults.raise_if_any()
        with one_thread():
            return each_batch(np.asarray(x, np.float64), batch, self._moved)

    def _moved(self, x: Matrix) -> Matrix:
        member = memberships(x, self.sums, self.sigma)
        size = member.sum(axis=0)
        own = self.mass[:, None] * (member.T @ x) - size[:, None] * self.sums
        effect = own / (self.mass * size + self.lamb * (self.mass + size))[:, None]
        moved: Matrix = x - member @ effect
        return moved


def memberships(x: Matrix, towards: Matrix, sigma: float) -> Matrix:
    """Soft clusters by the cosine to each of some directions, rows summing to 1, shape (n, k).

    Parameters
    ----------
    x
        Shape (n, d).
    towards
        Directions of any length, shape (k, d).
    sigma
        Width: at cosine c the membership is proportional to exp(2(c − 1)/sigma).
    """
    member: Matrix = unit(x) @ unit(towards).T
    member -= member.max(axis=1, keepdims=True)  # so that none overflows, and one is 1
    np.exp(member * (2 / sigma), out=member)
    member /= member.sum(axis=1, keepdims=True)
    return member


def unit(x: Matrix) -> Matrix:
    """Rows of length 1, shape (n, d); a row of zeros stays, and is at a right angle to all others."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    rows: Matrix = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    return rows
