"""Counts: programmes of marker genes mixed by abundance, distorted by donor and batch, negative binomial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Matrix, Vector

MARKED: Final = 0.4  # share of the genes that mark a type
FOLD: Final = (0.7, 1.7)  # range of a marker's natural-log fold change
DEPTH: Final = 1500.0  # median counts of a spot
DEPTH_SPREAD: Final = 0.45  # of the natural logarithm
DISPERSION: Final = 4.0  # r of the negative binomial: variance = µ + µ²/r


def gene_names(genes: int, types: int) -> NDArray[np.str_]:
    """Names that tell which type a gene marks (``M2-GENE007``) or that it marks none (``GENE120``)."""
    kind = marked_type(genes, types)
    return np.array([f"M{k}-GENE{g:03d}" if k >= 0 else f"GENE{g:03d}" for g, k in enumerate(kind)])


def marked_type(genes: int, types: int) -> NDArray[np.int64]:
    """Code of the type that each gene marks, -1 for none; shape (g,)."""
    order = np.arange(genes)
    return np.where(order < round(MARKED * genes), order % types, -1)


@dataclass(frozen=True, eq=False)
class Programmes:
    """Expression of each type.

    Parameters
    ----------
    profile
        Relative expression, rows of types, shape (types, g); each row sums to 1.
    """

    profile: Matrix

    @classmethod
    def draw(cls, genes: int, types: int, rng: np.random.Generator) -> Programmes:
        """Log-normal base levels, raised in the type that a gene marks."""
        base = rng.normal(0, 1, genes)
        fold = rng.uniform(*FOLD, genes)
        own = marked_type(genes, types)[None, :] == np.arange(types)[:, None]
        level = np.exp(base + own * fold)
        return cls(level / level.sum(axis=1, keepdims=True))

    def count(self, abundance: Matrix, distortion: Vector, rng: np.random.Generator) -> sp.csr_matrix:
        """Counts of spots, CSR of int32, shape (n, g).

        A count is Poisson with a gamma-distributed mean, hence negative binomial with
        mean µ = depth · (abundance · profile · distortion) and variance µ + µ²/r.

        Parameters
        ----------
        abundance
            Shares of the types, shape (n, types).
        distortion
            Factor of each gene by donor and batch, shape (g,).
        """
        mean = (abundance @ self.profile) * distortion
        mean /= mean.sum(axis=1, keepdims=True)
        mean *= DEPTH * np.exp(rng.normal(0, DEPTH_SPREAD, len(abundance)))[:, None]
        drawn = rng.poisson(rng.gamma(DISPERSION, mean / DISPERSION))
        return sp.csr_matrix(drawn.astype(np.int32))
