"""Within-section correlations of many types, and how they vary when blocks of neighbours are drawn anew.

Of each block only the sums that a correlation is made of are kept, so that a draw costs a product and looks
at no observation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.protocols import Codes, Matrix
from triptych.maths.correlations import by_column, unit_columns

NOTHING: Final = 1e-10  # of a column's variance: with less in a draw it does not vary there


@dataclass(frozen=True, eq=False)
class Draws:
    """Blocks of a section drawn with replacement, as many as there are.

    Parameters
    ----------
    times
        How often each draw holds each block, shape (draws, b).
    inside
        Which observations lie in each block, CSR of shape (b, m).
    """

    times: Matrix
    inside: sp.csr_matrix

    @classmethod
    def of(cls, blocks: Codes, draws: int, rng: np.random.Generator) -> Draws:
        """Draw blocks.

        Parameters
        ----------
        blocks
            Of each observation, 0 … b-1, shape (m,).
        draws
            How many.
        rng
            Of the draws.
        """
        count = int(blocks.max()) + 1
        times = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
        ones = np.ones(len(blocks))
        return cls(times, sp.csr_matrix((ones, (blocks, np.arange(len(blocks)))), (count, len(blocks))))

    def sums(self, values: Matrix) -> Matrix:
        """Sums of columns, (m, t) → (draws, t)."""
        return np.asarray(self.times @ np.asarray(self.inside @ values))

    def covariations(self, x: Matrix, y: Matrix) -> Matrix:
        """Σ (x - x̄)(y - ȳ) of each column in each draw, shape (draws, t).

        Parameters
        ----------
        x, y
            Of mean 0 and norm 1 over the section, shape (m, t), so that differences keep their digits.
        """
        n = self.sums(np.ones((len(x), 1)))
        return self.sums(x * y) - self.sums(x) * self.sums(y) / n

    def correlations(self, truth: Matrix, guess: Matrix) -> Matrix:
        """Pearson correlation of each column in each draw, shape (draws, t).

        NaN where the truth is constant, 0 where only the guess is.

        Parameters
        ----------
        truth, guess
            Shape (m, t).
        """
        y, x = unit_columns(truth), unit_columns(guess)
        yy, xx = self.covariations(y, y), self.covariations(x, x)
        varies = (yy > NOTHING) & (xx > NOTHING)
        r = np.divide(self.covariations(x, y), np.sqrt(np.where(varies, xx * yy, 1)), where=varies,
                      out=np.zeros_like(yy))  # fmt: skip
        return np.where(yy > NOTHING, np.clip(r, -1.0, 1.0), np.nan)


def correlations(parts: Iterable[Mapping[str, Matrix]], truth: str, role: str) -> Matrix:
    """Correlation of each type within each section, averaged over the sections, shape (t,).

    A section where the truth is constant is left out, one where the guess alone is counts 0.

    Parameters
    ----------
    parts
        Of each section role → shape (m, t).
    truth, role
        The two that are correlated.
    """
    return over_sections([by_column(values[truth], values[role]) for values in parts])


def over_sections(values: list[Matrix]) -> Matrix:
    """Mean over sections of what is not NaN; NaN where all are.

    Parameters
    ----------
    values
        Of each section, all of one shape.
    """
    every = np.stack(values)
    known = ~np.isnan(every)
    count, total = known.sum(axis=0), np.where(known, every, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
