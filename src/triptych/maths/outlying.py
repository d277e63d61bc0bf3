"""How far new sections lie from those that a model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from triptych.core.models import Saved
from triptych.core.protocols import Codes, Indices, Matrix, Vector

INSIDE: Final = 0.99  # share of the reference's observations that count as inside
PER: Final = 1e4
RIDGE: Final = 1e-6  # of the mean variance, so that constant columns do not divide by 0


@dataclass(frozen=True, eq=False)
class Reference(Saved):
    """A space as the fit saw it.

    Distances are Mahalanobis': of section means in units of the pooled covariance within sections, of single
    observations in units of the covariance of all.

    Parameters
    ----------
    mean
        Of all observations, shape (d,).
    within
        Inverse Cholesky factor of the pooled covariance within sections, shape (d, d).
    total
        Inverse Cholesky factor of the covariance of all, shape (d, d).
    leave_one_out
        Distance of each section's mean from the mean of the other sections, shape (s,); empty for one.
    radius
        Distance within which `INSIDE` of the observations lie, shape (1,).
    """

    mean: Vector
    within: Matrix
    total: Matrix
    leave_one_out: Vector
    radius: Vector

    @classmethod
    def of(cls, x: Matrix, section: Codes) -> Reference:
        """Measure a space.

        Parameters
        ----------
        x
            Shape (n, d).
        section
            Code of the section of each row, shape (n,).
        """
        x = np.asarray(x, np.float64)
        codes, of = np.unique(section, return_inverse=True)
        means = np.stack([x[of == code].mean(axis=0) for code in range(len(codes))])
        mean = x.mean(axis=0)
        within, total = _whitening(x - means[of]), _whitening(x - mean)
        radius = np.quantile(la.norm((x - mean) @ total.T, axis=1), [INSIDE])
        return cls(mean, within, total, _leave_one_out(means, within), radius)

    def distance(self, x: Matrix) -> float:
        """Distance of the mean of ``x``, shape (n, d), from the mean of the reference."""
        return float(la.norm(self.within @ (np.asarray(x, np.float64).mean(axis=0) - self.mean)))

    def outside(self, x: Matrix) -> float:
        """Share of the rows of ``x`` farther out than `INSIDE` of the reference; 0.01 is as expected."""
        far = la.norm((np.asarray(x, np.float64) - self.mean) @ self.total.T, axis=1)
        return float((far > self.radius[0]).mean())


@dataclass(frozen=True, eq=False)
class Profiles(Saved):
    """Mean expression of the sections of a fit.

    The distance of two profiles is 1 − r, r being Pearson's correlation over genes of log(1 + counts per
    10 000).

    Parameters
    ----------
    sections
        Profile of each section, shape (s, g).
    leave_one_out
        Distance of each section from the mean of the others, shape (s,); empty for one.
    """

    sections: Matrix
    leave_one_out: Vector

    @classmethod
    def of(cls, counts: sp.csr_matrix, section: Codes) -> Profiles:
        """Measure raw counts, shape (n, g), by the code of the section of each row, shape (n,)."""
        codes, of = np.unique(section, return_inverse=True)
        sections = np.stack([profile(counts[of == code]) for code in range(len(codes))])
        if len(codes) < 2:
            return cls(sections, np.empty(0))
        others = (sections.sum(axis=0) - sections) / (len(codes) - 1)
        return cls(sections, np.array([_apart(a, b) for a, b in zip(sections, others, strict=True)]))

    def distance(self, counts: sp.csr_matrix, held: Indices) -> float:
        """Distance of counts, shape (n, h), of the genes ``held`` from the mean of the fit's sections."""
        return _apart(profile(counts), self.sections[:, held].mean(axis=0))


def profile(counts: sp.csr_matrix) -> Vector:
    """log(1 + mean counts per 10 000) of each gene, shape (g,)."""
    sums = np.asarray(counts.sum(axis=0), np.float64).ravel()
    found: Vector = np.log1p(PER * sums / max(sums.sum(), 1.0))
    return found


def _apart(one: Vector, other: Vector) -> float:
    if one.std() == 0 or other.std() == 0:
        return float("nan")
    return float(1 - np.corrcoef(one, other)[0, 1])


def _whitening(centred: Matrix) -> Matrix:
    """W with W Σ Wᵀ = 1."""
    covariance = centred.T @ centred / len(centred)
    d = len(covariance)
    covariance[np.diag_indices(d)] += RIDGE * max(float(np.trace(covariance)) / d, np.finfo(float).tiny)
    factor = la.cholesky(covariance, lower=True)
    inverse: Matrix = la.solve_triangular(factor, np.eye(d), lower=True)
    return inverse


def _leave_one_out(means: Matrix, within: Matrix) -> Vector:
    """Distance of each row from the mean of the others."""
    s = len(means)
    if s < 2:
        return np.empty(0)
    others = (means.sum(axis=0) - means) / (s - 1)
    found: Vector = la.norm((means - others) @ within.T, axis=1)
    return found
