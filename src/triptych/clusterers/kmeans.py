"""K-means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from triptych.clusterers.door import by_size, check_clusters, check_like, in_use
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.threads import one_thread


@dataclass(frozen=True)
class KMeans:
    """The partition of least squared distance to the centres of its clusters.

    Parameters
    ----------
    k
        Number of clusters.
    n_init
        Number of starts, each from k-means++ centres; the best is kept.
    """

    k: int = 8
    n_init: int = 20

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1109/TIT.1982.1056489"

    def __post_init__(self) -> None:
        if self.k < 1 or self.n_init < 1:
            raise ValueError("k and n_init must be at least 1")

    def cluster(self, x: Matrix, rng: np.random.Generator) -> Codes:
        """Partition the rows.

        Parameters
        ----------
        x
            Shape (n, d).
        rng
            Seeds the starts.

        Returns
        -------
        Codes 0 … k - 1 by falling size, shape (n,).

        Raises
        ------
        DataError
            When values are not finite or there are fewer than k distinct rows.
        """
        return self.fit(x, rng).value

    def fit(self, x: Matrix, rng: np.random.Generator) -> Fit[Codes, FittedKMeans]:
        """Partition the rows, and keep the centres.

        Parameters
        ----------
        x, rng
            As for `cluster`.

        Raises
        ------
        DataError
            When values are not finite or there are fewer than k distinct rows.
        """
        import sklearn.cluster

        check_clusters("kmeans", x, self.k)
        model = sklearn.cluster.KMeans(self.k, n_init=self.n_init, random_state=seed_from(rng))
        with one_thread():
            codes = model.fit_predict(np.asarray(x, np.float64))
        value = by_size(codes)
        return Fit(value, FittedKMeans(model.cluster_centers_[in_use(codes, value)]))

    def restore(self, folder: Path) -> FittedKMeans:
        """Read the model that was saved in a folder."""
        return FittedKMeans.load(folder)


@dataclass(frozen=True, eq=False)
class FittedKMeans(Saved):
    """The centres that `KMeans.fit` found.

    Parameters
    ----------
    centres
        Shape (k, d), in the order of the codes.
    """

    centres: Matrix

    def __post_init__(self) -> None:
        if self.centres.ndim != 2 or not self.centres.size:
            raise ValueError(f"its centres have shape {self.centres.shape}; they need (k, d)")

    def apply(self, x: Matrix) -> Codes:
        """Give each row to its nearest centre.

        Parameters
        ----------
        x
            Shape (n, d).

        Returns
        -------
        Codes of the fit, shape (n,).

        Raises
        ------
        DataError
            When values are not finite or the columns are not as many as in the fit.
        """
        from sklearn.metrics import pairwise_distances_argmin

        check_like("kmeans", x, self.centres.shape[1])
        with one_thread():
            return np.asarray(pairwise_distances_argmin(np.asarray(x, np.float64), self.centres))
