"""Whether batches lie on top of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Matrix
from triptych.maths.silhouette import silhouettes
from triptych.metrics.neighbourhoods import check_space


@dataclass(frozen=True)
class BatchSilhouette:
    """How little the batches separate: 1 when silhouettes of the batches are zero, 0 when they are 1.

    1 - mean |s| over all observations, s the silhouette of the batches (Rousseeuw 1987); the raw mean |s| is
    1 minus the score. Given labels too, `score` follows scib: the same within each label, averaged over the
    labels that have more than one batch and fewer than observations. Exact, Euclidean, in blocks of rows.
    Batches of which only some lie apart, or that are mixed in a space with several dense regions, may
    still score near 1.

    Parameters
    ----------
    block_mb
        Memory for the distances held at once, in megabytes; does not change the value.
    """

    block_mb: float = 32.0

    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    mixing: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41592-021-01336-8"

    def __post_init__(self) -> None:
        if not self.block_mb > 0:
            raise ValueError("block_mb must be above 0")

    def score(self, truth: Matrix, guess: Codes, labels: Codes | None = None) -> float:
        """Average what is left of 1 by the silhouettes.

        Parameters
        ----------
        truth
            The space, shape (n, d).
        guess
            Batches, shape (n,).
        labels
            Within which batches are compared, shape (n,); by default all observations have one label.

        Raises
        ------
        DataError
            When no label has 2 to n_c - 1 batches, or values are missing or not finite.
        """
        check_space("batch-silhouette", truth, guess)
        labels = np.zeros(len(guess), np.int64) if labels is None else labels
        faults = Faults("batch-silhouette")
        faults.check(len(labels) == len(guess), f"{len(guess)} rows but {len(labels)} labels.")
        faults.check(not bool((labels < 0).any()), "some labels are missing. Leave those rows out.")
        faults.raise_if_any()
        each = [self._within(truth[labels == label], guess[labels == label]) for label in np.unique(labels)]
        known = [value for value in each if value is not None]
        faults.check(bool(known), "no label has more than one batch and more observations than batches.")
        faults.raise_if_any()
        return float(np.mean(known))

    def _within(self, x: Matrix, batch: Codes) -> float | None:
        """The score of one label; None where silhouettes are not defined."""
        names, codes = np.unique(batch, return_inverse=True)
        if not 2 <= len(names) < len(batch):
            return None
        return float(1 - np.abs(silhouettes(x, codes, block_mb=self.block_mb)).mean())
