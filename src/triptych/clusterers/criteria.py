"""What the data say for each number of clusters, without labels: information and stability."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.stats import theilslopes

from triptych.core.errors import TriptychWarning
from triptych.core.models import Fit
from triptych.core.progress import track
from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.threads import one_thread

PLATEAU: Final = 5  # numbers of clusters beyond those wanted, where the worth of a parameter is read
FAR: Final = 20  # they end here at least, so that the worth does not change where few are wanted
ROWS: Final = 10  # of a cluster in the mean, where that takes them further
STARTS: Final = 3  # of each fit while searching
LEAST: Final = 0.5  # what a superfluous parameter adds to the log-likelihood of independent observations


class Likelihood(NamedTuple):
    """How likely a model makes the observations.

    Attributes
    ----------
    log
        Natural logarithm, summed over observations.
    parameters
        Free ones.
    """

    log: float
    parameters: int


def bic(of: Any, x: Matrix, ks: Sequence[int], rng: np.random.Generator) -> Vector:
    """Bayesian information criterion, for as many observations as are in effect independent; best is highest.

    (n'/n) log L - p/2 log n', half the negative of Schwarz's (1978) where n' = n. Neighbours that were
    averaged, and clusters that are not Gaussian, let plain BIC grow as far as one looks. By Wilks' theorem a
    superfluous parameter adds 1/2 to log L; where the likelihood has levelled off it adds s, so that n' =
    n / 2s, at most n. This is the calibration of the slope heuristic (Baudry, Maugis and Michel 2012) with
    BIC's penalty, which is not allowed below that of AIC. s is the median slope (Theil-Sen: a fit may stop
    at a poor optimum) over the last five numbers of clusters tried, which are beyond those wanted and go to
    20 where rows suffice.

    Parameters
    ----------
    of
        A clusterer with ``k`` and ``fit``. A Gaussian mixture has its own likelihood; any other is taken for
        Gaussians of one variance in all directions, each row of its own cluster (Pelleg and Moore 2000).
    x
        Shape (n, d).
    ks
        Numbers of clusters, rising.
    rng
        Seeds the fits.

    Returns
    -------
    One value for a single cluster and then one for each k, shape (1 + len(ks),).
    """
    most = min(max(ks[-1] + PLATEAU, min(FAR, len(x) // ROWS)), distinct(x))
    tried = [1, *range(2, most + 1)]
    found = [likelihood(of, x, k, rng) for k in track(tried, "clusters", len(tried))]
    log, parameters = np.array(found, np.float64).T
    last = slice(-PLATEAU - 1, None)
    worth = max(float(theilslopes(log[last], parameters[last])[0]), LEAST) if most > 1 else LEAST
    effective = len(x) * LEAST / worth
    value: Vector = log * effective / len(x) - parameters * max(np.log(effective) / 2, 1.0)
    return value[[0, *(k - 1 for k in ks)]]


def likelihood(of: Any, x: Matrix, k: int, rng: np.random.Generator) -> Likelihood:
    """Likelihood of the observations under the clusters of one fit.

    Parameters
    ----------
    of
        A clusterer with ``k`` and ``fit``.
    x
        Shape (n, d).
    k
        Number of clusters.
    rng
        Seeds the fit.
    """
    codes, model = quick(of, k, x, rng)
    if hasattr(of, "mixture"):
        return _mixed(model, x, k)
    return spherical(x, codes, k)


def spherical(x: Matrix, codes: Codes, k: int) -> Likelihood:
    """Likelihood of rows that scatter about the centres of their clusters, equally in all directions.

    log L = Σ_j n_j log(n_j/n) - nd/2 (log 2πσ² + 1), with σ² the mean squared distance to the centre over d
    (Pelleg and Moore 2000), and k (d + 1) parameters.

    Parameters
    ----------
    x
        Shape (n, d).
    codes
        Clusters 0 …, shape (n,).
    k
        How many were wanted.
    """
    n, d = x.shape
    x, size = x - x.mean(axis=0), np.bincount(codes)
    member = sp.csr_matrix((np.ones(n), codes, np.arange(n + 1)), shape=(n, len(size)))
    centres = np.asarray(member.T @ x) / size[:, None]
    total = float((x**2).sum())
    within = total - float((size * (centres**2).sum(axis=1)).sum())
    variance = max(within, np.finfo(float).eps * total) / (n * d)  # rows that coincide scatter as they round
    log = (size * np.log(size / n)).sum() - n * d / 2 * (np.log(2 * np.pi * variance) + 1)
    return Likelihood(float(log), k * (d + 1))


def _mixed(model: Any, x: Matrix, k: int) -> Likelihood:
    """Likelihood of a mixture."""
    d, mixture = x.shape[1], model.component.mixture(seed=0)
    mixture.weights_, mixture.means_, mixture.precisions_cholesky_ = (
        model.weights, model.means, model.precisions,
    )  # fmt: skip
    square = d * (d + 1) // 2
    spread = {"tied": square, "full": k * square, "diag": k * d}[model.component.covariance]
    with one_thread():
        return Likelihood(float(mixture.score_samples(x).sum()), k - 1 + k * d + spread)


def stability(
    of: Any, x: Matrix, ks: Sequence[int], rng: np.random.Generator, *, repeats: int
) -> tuple[Vector, Vector]:
    """Prediction strength: how far clusters of one half are foretold by those of the other half.

    The mean of `strength` over random halves, both ways round (Tibshirani and Walther 2005): 1 for a single
    cluster, and 0 where a half has fewer distinct rows than clusters are wanted.

    Parameters
    ----------
    of
        A clusterer with ``k`` and ``fit``, whose model has ``apply``.
    x
        Shape (n, d).
    ks
        Numbers of clusters.
    rng
        Draws the halves and seeds the fits.
    repeats
        Pairs of halves; all k see the same.

    Returns
    -------
    The mean, from 0 to 1, and its standard error over the pairs of halves; shape (len(ks),) each.
    """
    found = np.zeros((repeats, len(ks)))
    for one in track(range(repeats), "halves", repeats):
        order = rng.permutation(len(x))
        halves = x[order[: len(x) // 2]], x[order[len(x) // 2 :]]
        enough = min(distinct(half) for half in halves)
        for column, k in enumerate(ks):
            if k == 1:
                found[one, column] = 1.0
            elif k <= enough:
                fits = [quick(of, k, half, rng) for half in halves]
                foretold = fits[1].model.apply(halves[0]), fits[0].model.apply(halves[1])
                pairs = zip(foretold, fits, strict=True)
                found[one, column] = np.mean([strength(guess, fit.value) for guess, fit in pairs])
    error = found.std(axis=0, ddof=1) / np.sqrt(repeats) if repeats > 1 else np.zeros(len(ks))
    return found.mean(axis=0), error


def strength(guess: Codes, own: Codes) -> float:
    """Least share, among clusters, of the pairs of a cluster that the guess too puts together.

    min_j Σ_i n_ij (n_ij - 1) / n_j (n_j - 1), with n_ij rows of cluster j that the guess puts in i: pairs are
    counted in the contingency table, and never made. Clusters of one row have no pairs and are left out.

    Parameters
    ----------
    guess
        Clusters that another half foretells, shape (n,).
    own
        Clusters of this half, shape (n,).
    """
    width = int(own.max()) + 1
    table = np.bincount(guess * width + own, minlength=width * (int(guess.max()) + 1)).reshape(-1, width)
    size = table.sum(axis=0)
    together, pairs = (table * (table - 1)).sum(axis=0), size * (size - 1)
    return float((together[pairs > 0] / pairs[pairs > 0]).min()) if (pairs > 0).any() else 0.0


def quick(of: Any, k: int, x: Matrix, rng: np.random.Generator) -> Fit[Codes, Any]:
    """One fit of the search: few starts, and nothing said of those that do not converge."""
    starts = {"n_init": min(of.n_init, STARTS)} if "n_init" in {one.name for one in fields(of)} else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TriptychWarning)
        fitted: Fit[Codes, Any] = replace(of, k=k, **starts).fit(x, rng)
    return fitted


def distinct(x: Matrix) -> int:
    """Number of different rows."""
    return len(np.unique(x, axis=0))
