"""Clusters of a view, from which triplets are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from triptych.core.protocols import Matrix
from triptych.core.randomness import seed_from
from triptych.maths.threads import one_thread

FIT_ROWS = 20_000  # K-means is fitted on at most so many rows and applied to the others
RESTARTS = 10


def view_labels(x: Matrix, clusters: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
    """K-means clusters of one view.

    Parameters
    ----------
    x
        Shape (n, d).
    clusters
        Wanted; fewer when the rows are not distinct enough.
    rng
        Draws the rows to fit on and the starts.

    Returns
    -------
        Codes without gaps, shape (n,), and their number.
    """
    rows = np.sort(rng.choice(len(x), FIT_ROWS, replace=False)) if len(x) > FIT_ROWS else slice(None)
    seed, sample = seed_from(rng), np.ascontiguousarray(x[rows])
    k = min(clusters, len(np.unique(sample, axis=0)))
    if k == 1:
        return np.zeros(len(x), dtype=np.int64), 1
    with one_thread():
        model = KMeans(k, n_init=RESTARTS, random_state=seed).fit(sample)
        labels = model.predict(np.ascontiguousarray(x)) if len(x) > FIT_ROWS else model.labels_
    found, codes = np.unique(labels, return_inverse=True)
    return codes.astype(np.int64), len(found)
