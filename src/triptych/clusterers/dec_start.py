"""From where `dec` starts: an encoder that fits the rows, and centres of its codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.nets.autoencoder_saved import WithEncoder

STARTED = 20_000  # observations among which the starts of K-means are compared
FINE, TEMPER = 10, 0.25  # small clusters per cluster, and the power of their size with which they count


def check_encoder(encoder: Any, x: Matrix) -> None:
    """Refuse a model that has no encoder, or one of other rows.

    Parameters
    ----------
    encoder
        A fitted model.
    x
        Shape (n, d).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults("dec")
    if not isinstance(encoder, WithEncoder):
        faults.add(f"{type(encoder).__name__} has no encoder to start from.")
        faults.raise_if_any(hint="Give the model of the fuser autoencoder or sdae.")
    roles = getattr(encoder, "roles", {})
    faults.check(
        len(roles) < 2, f"the encoder was fitted to the views {', '.join(roles)}; it needs the matrix alone."
    )
    faults.check(
        len(encoder.mean) == x.shape[1],
        f"the matrix has {x.shape[1]} columns; the encoder takes {len(encoder.mean)}.",
    )
    faults.raise_if_any(hint="Fuse the views with concat, give that to sdae as its only view, and to dec.")


def initial_centres(
    z: NDArray[np.float32], k: int, n_init: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Codes]:
    """Centres of K-means; its starts are compared on a sample, the best goes on with all rows.

    Parameters
    ----------
    z
        Codes, shape (n, latent).
    k
        Number of clusters.
    n_init
        Number of starts.
    rng
        Draws the sample and seeds the starts.

    Returns
    -------
    Shape (k, latent), and the cluster of each row, shape (n,).
    """
    from sklearn.cluster import KMeans

    rows = _sample(len(z), rng)
    found = KMeans(k, n_init=n_init, random_state=seed_from(rng)).fit(z[rows])
    if len(z) > STARTED:
        found = KMeans(k, init=found.cluster_centers_, n_init=1).fit(z)
    return found.cluster_centers_.astype(np.float32), found.labels_


def tempered_centres(
    z: NDArray[np.float32], k: int, n_init: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Codes]:
    """Centres among which rare kinds have a say: K-means of the centres of many small clusters.

    K-means of observations spends its centres on dividing what is frequent. Here a small cluster of s
    observations counts as s^(1/4) of them, so that a region of the space with ten times the observations
    does not weigh ten times as much.

    Parameters
    ----------
    z, k, n_init, rng
        As for `initial_centres`.

    Returns
    -------
    Means of the clusters, shape (k, latent), and the cluster of each row, shape (n,).
    """
    from sklearn.cluster import KMeans

    rows = _sample(len(z), rng)
    parts = max(k, min(FINE * k, min(len(z), STARTED) // 2))
    fine = KMeans(parts, n_init=1, random_state=seed_from(rng)).fit(z[rows])
    part = fine.predict(z)
    size = np.bincount(part, minlength=len(fine.cluster_centers_))
    found = KMeans(k, n_init=n_init, random_state=seed_from(rng))
    found.fit(fine.cluster_centers_, sample_weight=size**TEMPER)
    codes = found.labels_[part]
    member = sp.csr_matrix((np.ones(len(z)), (codes, np.arange(len(z)))), shape=(k, len(z)))
    count = np.bincount(codes, minlength=k)[:, None]
    centres = np.where(count > 0, (member @ z) / np.maximum(count, 1), found.cluster_centers_)
    return centres.astype(np.float32), codes


def _sample(n: int, rng: np.random.Generator) -> NDArray[np.int64] | slice:
    """Rows on which starts are compared, in their order; all of them when there are few."""
    return np.sort(rng.choice(n, STARTED, replace=False)) if n > STARTED else slice(None)
