"""K-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from triptych.clusterers.door import by_size, check_clusters
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
        import sklearn.cluster

        check_clusters("kmeans", x, self.k)
        model = sklearn.cluster.KMeans(self.k, n_init=self.n_init, random_state=seed_from(rng))
        with one_thread():
            return by_size(model.fit_predict(np.asarray(x, np.float64)))
