"""ComBat: shifts and scales of the batches, shrunk towards what all columns of a batch share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from triptych.aligners.door import check_sizes, faults_of
from triptych.aligners.moments import Moments, moments
from triptych.core.errors import DataError, NumericsError
from triptych.core.protocols import Codes, Matrix, Vector


@dataclass(frozen=True)
class Combat:
    """Parametric empirical Bayes adjustment of location and scale.

    Parameters
    ----------
    tol
        Largest relative change, of any shift or scale, at which the estimates count as settled.
    max_iter
        Rounds at most.

    Notes
    -----
    With z the columns standardised by the grand mean and the pooled within-batch deviation, batch b shifts
    column j by γ_bj ~ N(γ_b, τ_b²) and scales its variance by δ_bj ~ inverse gamma, the priors by the
    moments of all columns of the batch. The posterior means solve, in turns, equation 3.1 of Johnson et
    al. (2007). No covariates: what is confounded with the batch is taken out with it.
    """

    tol: float = 1e-8
    max_iter: int = 1000

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1093/biostatistics/kxj037"

    def __post_init__(self) -> None:
        if not self.tol > 0 or self.max_iter < 1:
            raise ValueError("tol must be above 0 and max_iter at least 1")

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Adjust ``x`` for the batch.

        Parameters
        ----------
        x
            Shape (n, d), d ≥ 2, since the columns inform each other.
        batch
            Code of the batch of each row, shape (n,).
        rng
            Not drawn from.

        Returns
        -------
        Shape (n, d). A column constant within every batch becomes its grand mean. With a single batch,
        ``x`` as it is.

        Raises
        ------
        DataError
            When values are not finite, codes are missing, lengths differ, there is one column, or a batch
            has one row; all faults together. Or when the rows of a batch are all alike.
        NumericsError
            When the estimates do not settle in ``max_iter`` rounds.
        """
        self._check(x, batch)
        x = np.asarray(x, np.float64)
        by = moments(x, batch)
        if len(by.size) < 2:
            return x
        pooled = np.sqrt(by.squares.sum(axis=0) / len(x))
        varies = pooled > 0
        aligned = np.tile(by.grand, (len(x), 1))
        if varies.any():
            shift, spread = self._posterior(by, varies, pooled[varies])
            of, scale = by.of, pooled[varies]
            z = (x[:, varies] - by.grand[varies]) / scale
            aligned[:, varies] += (z - shift[of]) / np.sqrt(spread)[of] * scale
        return aligned

    def _check(self, x: Matrix, batch: Codes) -> None:
        faults = faults_of("combat", x, batch)
        faults.check(x.shape[1] > 1, "one column cannot borrow strength from others. Use center.")
        check_sizes(faults, batch, 2, "Merge it with another batch, or use center.")
        faults.raise_if_any()

    def _posterior(self, by: Moments, varies: Matrix, pooled: Vector) -> tuple[Matrix, Matrix]:
        """Shift γ and scale δ of every batch and varying column, each (b, d), in standardised units."""
        size = by.size[:, None]
        shift = (by.mean - by.grand)[:, varies] / pooled
        spread = by.squares[:, varies] / pooled**2 / (size - 1)
        centre, width = shift.mean(axis=1, keepdims=True), shift.var(axis=1, keepdims=True)
        if not spread.any(axis=1).all():
            raise DataError(
                "combat: the rows of a batch are all alike.", "Leave that batch out, or use center."
            )
        prior = _inverse_gamma(spread)
        g, d = shift, spread
        for _ in range(self.max_iter):
            g_new = (width * size * shift + d * centre) / (width * size + d)
            squares = (size - 1) * spread + size * (shift - g_new) ** 2
            d_new = (squares / 2 * prior[1] + prior[0]) / ((size / 2 + 1) * prior[1] + prior[2])
            settled = _change(g, g_new) <= self.tol and _change(d, d_new) <= self.tol
            g, d = g_new, d_new
            if settled:
                return g, d
        raise NumericsError(
            f"combat: the estimates did not settle in {self.max_iter} rounds.", "Raise max_iter or tol."
        )


def _inverse_gamma(spread: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Prior of the scales, (b, 1) each: m(s² + m²), s² and m², with m and s² the moments over the columns.

    Shape a = 2 + m²/s² and scale b = m + m³/s² are both multiplied by s², so that columns of one variance,
    s² = 0, are the limit m and no division by zero.
    """
    mean = spread.mean(axis=1, keepdims=True)
    var = spread.var(axis=1, keepdims=True, ddof=1) if spread.shape[1] > 1 else np.zeros_like(mean)
    return mean * (var + mean**2), var, mean**2


def _change(old: Matrix, new: Matrix) -> float:
    """Largest change, relative to the size of the estimates."""
    return float(np.abs(new - old).max() / max(float(np.abs(new).max()), np.finfo(np.float64).tiny))
