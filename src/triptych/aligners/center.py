"""Centring: every batch gets the mean of all, and where wanted the same spread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from triptych.aligners.door import faults_of
from triptych.aligners.mapping import each_batch, faults_of_new, need_shapes
from triptych.aligners.moments import Moments, moments
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Codes, Matrix, Vector


@dataclass(frozen=True, eq=False)
class FittedCenter(Saved):
    """Where `Center` moves batches to.

    Parameters
    ----------
    grand
        Mean of all rows of the fit, shape (d,).
    pooled
        Standard deviation within the batches of the fit, shape (d,).
    scale
        Whether new batches also get that deviation.
    """

    grand: Vector
    pooled: Vector
    scale: bool

    def __post_init__(self) -> None:
        need_shapes((self.grand, self.grand.shape[:1]), (self.pooled, self.grand.shape))

    def apply(self, x: Matrix, batch: Codes) -> Matrix:
        """Move every new batch's mean to the mean of the fit.

        Parameters
        ----------
        x
            Shape (n, d), the columns those of the fit.
        batch
            Code of the new batch of each row, shape (n,).

        Returns
        -------
        Shape (n, d).

        Raises
        ------
        DataError
            When the columns are others, values are not finite, codes are missing, or lengths differ; all
            faults together.
        """
        faults_of_new("center", x, batch, len(self.grand)).raise_if_any()
        return each_batch(np.asarray(x, np.float64), batch, self._moved)

    def _moved(self, x: Matrix) -> Matrix:
        by = moments(x, np.zeros(len(x), np.intp))
        return self.centred(x, by)

    def centred(self, x: Matrix, by: Moments) -> Matrix:
        """Rows of the batches that ``by`` describes, moved, shape (n, d)."""
        centred = x - by.mean[by.of]
        if self.scale:
            own = np.sqrt(by.squares / by.size[:, None])
            # a column that is constant in a batch has no deviations to scale
            centred *= np.divide(self.pooled, own, out=np.ones_like(own), where=own > 0)[by.of]
        aligned: Matrix = self.grand + centred
        return aligned


@dataclass(frozen=True)
class Center:
    """Move every batch's mean to the mean of all rows.

    Parameters
    ----------
    scale
        Whether the columns of every batch also get the pooled within-batch standard deviation.

    Notes
    -----
    Row i of batch b becomes m + (x_i − m_b), or m + (x_i − m_b)·s/s_b when scaling. It assumes that the
    batches hold the same mixture of types: where they do not, what differs between types is taken out too.
    A batch never seen is moved by the same equation, with m and s of the fit.
    """

    scale: bool = False

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Centre ``x`` by batch.

        Parameters
        ----------
        x
            Shape (n, d).
        batch
            Code of the batch of each row, shape (n,).
        rng
            Not drawn from.

        Returns
        -------
        Shape (n, d). With a single batch, ``x`` as it is.

        Raises
        ------
        DataError
            When values are not finite, codes are missing, or lengths differ; all faults together.
        """
        return self.fit(x, batch, rng).value

    def fit(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Fit[Matrix, FittedCenter]:
        """As `align`, and keep the mean and the spread for batches never seen."""
        faults_of("center", x, batch).raise_if_any()
        x = np.asarray(x, np.float64)
        by = moments(x, batch)
        model = FittedCenter(by.grand, np.sqrt(by.squares.sum(axis=0) / len(x)), self.scale)
        return Fit(x if len(by.size) < 2 else model.centred(x, by), model)

    def restore(self, folder: Path) -> FittedCenter:
        """Read a model that was saved."""
        return FittedCenter.load(folder)
