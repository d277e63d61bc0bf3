"""Harmony: soft clusters, and in each a ridge regression that takes the batch out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.aligners.door import check_directions, faults_of
from triptych.aligners.harmony_fitted import FittedHarmony, memberships, unit
from triptych.core.models import Fit
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

    Notes
    -----
    A batch never seen is mapped as `FittedHarmony` says, with ``lamb`` or, where that is None, 1. For the
    sake of that a fit of one batch, which has nothing to correct, still finds its clusters, by k-means of
    the directions of its rows.
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
            When values are not finite, rows are all zero, codes are missing, lengths differ, or two rows are
            all there is; all faults together.
        """
        return self.fit(x, batch, rng).value

    def fit(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Fit[Matrix, FittedHarmony]:
        """As `align`, and keep the soft clusters for batches never seen."""
        faults = faults_of("harmony", x, batch)
        check_directions(faults, x)
        alone = len(np.unique(batch)) < 2
        # of two rows harmonypy makes two clusters, and never comes back
        faults.check(alone or len(x) > 2, "2 rows are too few to tell batches from groups.")
        faults.raise_if_any()
        clusters = min(self.clusters or int(np.clip(round(len(x) / 30), 2, 100)), len(x))
        with one_thread():
            if alone:
                value, member = x, self._grouped(np.asarray(x, np.float64), clusters, seed_from(rng))
            else:
                value, member = self._corrected(x, batch, clusters, seed_from(rng))
            return Fit(
                value, FittedHarmony.of(member, np.asarray(value, np.float64), self.sigma, self.lamb or 1.0)
            )

    def restore(self, folder: Path) -> FittedHarmony:
        """Read a model that was saved."""
        return FittedHarmony.load(folder)

    def _corrected(self, x: Matrix, batch: Codes, clusters: int, seed: int) -> tuple[Matrix, Matrix]:
        """Corrected rows, shape (n, d), and their soft clusters, shape (n, k)."""
        import harmonypy  # installs a log handler when imported, so not before it is wanted

        result = harmonypy.run_harmony(
            # (d, n): given (n, d), harmonypy guesses the orientation, wrongly when n = d
            np.ascontiguousarray(x.T, np.float64),
            pd.DataFrame({"batch": batch}),
            "batch",
            theta=self.theta,
            sigma=self.sigma,
            lamb=self.lamb,
            nclust=clusters,
            max_iter_harmony=self.max_iter,
            random_state=seed,
            ncores=1,
            verbose=False,
        )
        return np.array(result.Z_corr, np.float64), np.asarray(result.R, np.float64)

    def _grouped(self, x: Matrix, clusters: int, seed: int) -> Matrix:
        """Soft clusters of rows of one batch, shape (n, k)."""
        from sklearn.cluster import KMeans

        rows = unit(x)
        distinct = min(clusters, len(np.unique(rows, axis=0)))  # it warns when asked for more
        found = KMeans(distinct, n_init=1, random_state=seed).fit(rows)
        return memberships(x, found.cluster_centers_, self.sigma)
