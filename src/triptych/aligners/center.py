"""Centring: every batch gets the mean of all, and where wanted the same spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from triptych.aligners.door import faults_of
from triptych.aligners.moments import moments
from triptych.core.protocols import Codes, Matrix


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
        faults_of("center", x, batch).raise_if_any()
        x = np.asarray(x, np.float64)
        by = moments(x, batch)
        if len(by.size) < 2:
            return x
        centred = x - by.mean[by.of]
        if self.scale:
            own = np.sqrt(by.squares / by.size[:, None])
            pooled = np.sqrt(by.squares.sum(axis=0) / len(x))
            # a column that is constant in a batch has no deviations to scale
            centred *= np.divide(pooled, own, out=np.ones_like(own), where=own > 0)[by.of]
        aligned: Matrix = by.grand + centred
        return aligned
