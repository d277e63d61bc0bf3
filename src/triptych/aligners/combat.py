"""ComBat: shifts and scales of the batches, shrunk towards what all columns of a batch share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from triptych.aligners.combat_estimates import Settling, effects, posterior, priors
from triptych.aligners.door import check_sizes, faults_of
from triptych.aligners.mapping import each_batch, faults_of_new, need_shapes
from triptych.aligners.moments import Moments, moments
from triptych.core.checks import Faults
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Codes, Matrix, Vector


@dataclass(frozen=True, eq=False)
class FittedCombat(Saved):
    """What `Combat` learned: where the batches go, and how large their effects commonly are.

    Parameters
    ----------
    grand
        Mean of all rows of the fit, shape (d,).
    pooled
        Standard deviation within the batches of the fit, shape (d,); 0 where a column is constant in each.
    prior
        Parameters of the distributions of shifts and scales over all columns of all batches of the fit, as
        `priors` gives them, shape (1, 5); None where the fit had one batch, and so no effects.
    settling
        When the estimates count as settled.
    """

    grand: Vector
    pooled: Vector
    prior: Matrix | None
    settling: Settling

    def __post_init__(self) -> None:
        need_shapes((self.grand, self.grand.shape[:1]), (self.pooled, self.grand.shape))
        if self.prior is not None:
            need_shapes((self.prior, (1, 5)))

    def apply(self, x: Matrix, batch: Codes) -> Matrix:
        """Adjust new batches to the mean and the spread of the fit.

        Parameters
        ----------
        x
            Shape (n, d), the columns those of the fit.
        batch
            Code of the new batch of each row, shape (n,).

        Returns
        -------
        Shape (n, d). A column constant within every batch of the fit becomes its mean there.

        Raises
        ------
        DataError
            When the columns are others, values are not finite, codes are missing, lengths differ, or a
            batch has one row; all faults together. Or when the rows of a batch are all alike.
        NumericsError
            When the estimates do not settle.
        """
        faults = faults_of_new("combat", x, batch, len(self.grand))
        _check_batches(faults, batch)
        faults.raise_if_any()
        return each_batch(np.asarray(x, np.float64), batch, self._moved)

    def _moved(self, x: Matrix) -> Matrix:
        return self.adjusted(x, moments(x, np.zeros(len(x), np.intp)), self.prior)

    def adjusted(self, x: Matrix, by: Moments, prior: Matrix | None) -> Matrix:
        """Rows of the batches that ``by`` describes, each with a prior of its own where none is given."""
        varies = self.pooled > 0
        aligned = np.tile(self.grand, (len(x), 1))
        if varies.any():
            scale = self.pooled[varies]
            shift, spread = effects(by, self.grand, varies, scale)
            prior = priors(shift, spread) if prior is None else prior
            shift, spread = posterior(by.size[:, None], shift, spread, prior, self.settling)
            z = (x[:, varies] - self.grand[varies]) / scale
            aligned[:, varies] += (z - shift[by.of]) / np.sqrt(spread)[by.of] * scale
        return aligned


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

    A batch never seen is standardised by the fit's mean and deviation, and its shifts and scales are shrunk
    towards one prior of the fit: the moments of γ and δ over all columns of all its batches. A fit of one
    batch has seen no effects; the prior is then the new batch's own, as it is within a fit.
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
        return self.fit(x, batch, rng).value

    def fit(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Fit[Matrix, FittedCombat]:
        """As `align`, and keep mean, spread and prior for batches never seen."""
        faults = faults_of("combat", x, batch)
        faults.check(x.shape[1] > 1, "one column cannot borrow strength from others. Use center.")
        _check_batches(faults, batch)
        faults.raise_if_any()
        x = np.asarray(x, np.float64)
        by = moments(x, batch)
        pooled = np.sqrt(by.squares.sum(axis=0) / len(x))
        model = FittedCombat(by.grand, pooled, _prior(by, pooled), Settling(self.tol, self.max_iter))
        return Fit(x if len(by.size) < 2 else model.adjusted(x, by, None), model)

    def restore(self, folder: Path) -> FittedCombat:
        """Read a model that was saved."""
        return FittedCombat.load(folder)


def _check_batches(faults: Faults, batch: Codes) -> None:
    check_sizes(faults, batch, 2, "Merge it with another batch, or use center.")


def _prior(by: Moments, pooled: Vector) -> Matrix | None:
    """Over all columns that vary and all batches, (1, 5); None where there are no effects to learn from."""
    varies = pooled > 0
    if len(by.size) < 2 or not varies.any():
        return None
    shift, spread = effects(by, by.grand, varies, pooled[varies])
    return priors(shift.reshape(1, -1), spread.reshape(1, -1))
