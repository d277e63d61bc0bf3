"""Harmony: soft clusters, and in each a ridge regression that takes the batch out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.aligners.door import faults_of
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.threads import one_thread


@dataclass(frozen=True)
class Harmony:
    """Mix the batches within soft clusters, until the clusters stop changing.

    Parameters
    ----------
    theta
        Penalty on clusters of one batch; 0 lets batches stay apart.
    sigma
        Width of the soft clusters.
    lamb
        Ridge penalty of the correction; None estimates one for each cluster.
    max_iter
        Rounds of clustering and correction at most.
    clusters
        Number of soft clusters; 0 takes one for every 30 observations, from 2 to 100.
    """

    theta: float = 2.0
    sigma: float = 0.1
    lamb: float | None = None
    max_iter: int = 10
    clusters: int = 0

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1038/s41592-019-0619-0"

    def __post_init__(self) -> None:
        if self.theta < 0 or not self.sigma > 0:
            raise ValueError("theta must not be negative and sigma must be above 0")
        if self.lamb is not None and not self.lamb > 0:
            raise ValueError("lamb must be above 0, or null to estimate it")
        if self.max_iter < 1 or self.clusters < 0:
            raise ValueError("max_iter must be at least 1 and clusters must not be negative")

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Correct ``x`` for the batch.

        Parameters
        ----------
        x
            Shape (n, d), commonly principal components.
        batch
            Code of the batch of each row, shape (n,).
        rng
            Seeds the start of the clusters.

        Returns
        -------
        Shape (n, d). With a single batch, ``x`` as it is.

        Raises
        ------
        DataError
            When values are not finite, codes are missing, or lengths differ; all faults together.
        """
        self._check(x, batch)
        if len(np.unique(batch)) < 2:
            return x
        import harmonypy  # installs a log handler when imported, so not before it is wanted

        clusters = self.clusters or int(np.clip(round(len(x) / 30), 2, 100))
        with one_thread():
            result = harmonypy.run_harmony(
                # (d, n): given (n, d), harmonypy guesses the orientation, wrongly when n = d
                np.ascontiguousarray(x.T, np.float64),
                pd.DataFrame({"batch": batch}),
                "batch",
                theta=self.theta,
                sigma=self.sigma,
                lamb=self.lamb,
                nclust=min(clusters, len(x)),
                max_iter_harmony=self.max_iter,
                random_state=seed_from(rng),
                ncores=1,
                verbose=False,
            )
        return np.array(result.Z_corr, np.float64)

    def _check(self, x: Matrix, batch: Codes) -> None:
        faults = faults_of("harmony", x, batch)
        zero = int((~x.any(axis=1)).sum())
        faults.check(zero == 0, f"{zero} rows are all zero and have no direction. Remove them.")
        faults.raise_if_any()
