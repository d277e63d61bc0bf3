"""The posterior of positive quantities as cell2location approximates it: transformed independent normals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from scipy.special import ndtri

from triptych.core.protocols import Matrix

NODES: Final = 64  # of the quadrature
DRAWS: Final = 1000  # the package's own number
BLOCK: Final = 4_000_000  # draws held at once, 32 MB


@dataclass(frozen=True, eq=False)
class Posterior:
    """A rising function of z, with z normal, each value by itself.

    Parameters
    ----------
    loc, scale
        Mean and standard deviation of z, shape (n, t).
    positive
        The function, from real to positive numbers: the exponential with today's torch.

    Notes
    -----
    The guide of cell2location is mean-field, so a quantile of a value is the transform of the normal's
    quantile, its mean an integral over one normal, and neither needs samples of everything that was fitted.
    """

    loc: Matrix
    scale: Matrix
    positive: Callable[[Matrix], Matrix] = np.exp

    @classmethod
    def of(cls, guide: Any, site: str) -> Self:
        """Keep what a ``pyro.infer.autoguide.AutoNormal`` learned of one quantity."""
        import torch

        loc, scale = (_array(getattr(part, site)) for part in (guide.locs, guide.scales))
        # The package asks for softplus, and gets the exponential where torch lets a gamma variable be zero.
        transform = torch.distributions.biject_to(guide.prototype_trace.nodes[site]["fn"].support)
        return cls(loc, scale, lambda z: _array(transform(torch.from_numpy(z))))

    def quantile(self, q: float) -> Matrix:
        """The quantile of each value, shape (n, t)."""
        return self.positive(self.loc + self.scale * ndtri(q))

    def mean(self) -> Matrix:
        """The mean of each value, shape (n, t), by Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        total = np.zeros_like(self.loc)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            total += weight * self.positive(self.loc + self.scale * node)
        return total

    def proportions(self, q: tuple[float, ...], rng: np.random.Generator) -> Matrix:
        """Quantiles of the shares of each row's total, shape (len(q), n, t), from draws of every row."""
        n, t = self.loc.shape
        rows = max(1, BLOCK // (DRAWS * t))
        parts = []
        for start in range(0, n, rows):
            loc, scale = self.loc[start : start + rows], self.scale[start : start + rows]
            drawn = self.positive(loc + scale * rng.standard_normal((DRAWS, *loc.shape)))
            drawn /= drawn.sum(axis=2, keepdims=True)
            parts.append(np.quantile(drawn, q, axis=0))
        return np.concatenate(parts, axis=1)


def _array(tensor: Any) -> Matrix:
    return np.array(tensor.detach().cpu().numpy(), np.float64)
