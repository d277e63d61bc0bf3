"""What many mixtures at many scales agree on: no scale and no number of components has to be chosen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from triptych.core.checks import Faults
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Codes, Matrix, Places, Vector
from triptych.core.randomness import seed_from
from triptych.fusers.balance import check_roles, check_views
from triptych.maths.graphs import averaging
from triptych.maths.threads import one_thread


@dataclass(frozen=True)
class Consensus:
    """Memberships in tied Gaussian mixtures, one for each smoothing and each number of leading columns.

    Every view is averaged over the nearest places; its leading columns, which should be principal components,
    are clustered by a mixture. The memberships of all mixtures side by side, divided by the square root of
    their number, are the joint space: half the squared distance of two rows is the share of the mixtures that
    keep them apart, so K-means in it is consensus clustering (Wu et al. 2015).

    Parameters
    ----------
    clusters
        Components of each mixture.
    columns
        How many leading columns of each view the mixtures see, in turn; a narrower view is seen whole.
    neighbours
        How many nearest places join the place itself, in turn.
    rounds
        How often to average, in turn.
    n_init
        Starts of each mixture.
    """

    clusters: int = 8
    columns: tuple[int, ...] = (10, 15, 20, 30)
    neighbours: tuple[int, ...] = (6, 18)
    rounds: tuple[int, ...] = (1, 2)
    n_init: int = 3

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1109/TKDE.2014.2316512"

    def __post_init__(self) -> None:
        if self.clusters < 2 or self.n_init < 1:
            raise ValueError("clusters must be at least 2 and n_init at least 1")
        for name in ("columns", "neighbours", "rounds"):
            values = getattr(self, name)
            if not values or min(values) < 1:
                raise ValueError(f"{name} must be one or more numbers of at least 1, not {values}")

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Fit the mixtures and lay their memberships side by side.

        Parameters
        ----------
        views
            By role, each dense of shape (n, d), columns by falling importance.
        places
            Where the n observations lie.
        rng
            Seeds the mixtures.

        Returns
        -------
        Shape (n, mixtures · clusters); each row has one non-zero value for each mixture.

        Raises
        ------
        DataError
            When views do not fit together, are sparse, or have fewer rows than clusters.
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedConsensus]:
        """As `fuse`, and keep the mixtures for sections never seen."""
        check_views("consensus", views, len(places.um), {})
        self._check(views, len(places.um))
        roles = {role: views[role].shape[1] for role in sorted(views)}
        means, factors, weights, codes = {}, {}, {}, []
        with one_thread():
            for i, x in enumerate(self.seen([np.asarray(views[role], np.float64) for role in roles], places)):
                mixture = self._mixture(x, seed_from(rng))
                found = mixture.means_, mixture.precisions_cholesky_, mixture.weights_
                means[str(i)], factors[str(i)], weights[str(i)] = map(np.ascontiguousarray, found)
                codes.append(likeliest(x, means[str(i)], factors[str(i)], weights[str(i)]))
        model = FittedConsensus(self, roles, means, factors, weights)
        return Fit(side_by_side(codes, self.clusters), model)

    def restore(self, folder: Path) -> FittedConsensus:
        """Read the model that was saved in a folder."""
        return FittedConsensus.load(folder)

    def seen(self, views: Sequence[Matrix], places: Places) -> Iterator[Matrix]:
        """What each mixture sees: leading columns of the smoothed views, shape (n, d)."""
        for neighbours in self.neighbours:
            mean = averaging(places, neighbours)
            smoothed = list(views)
            for done in range(1, max(self.rounds) + 1):
                smoothed = [mean @ view for view in smoothed]
                if done in self.rounds:
                    for columns in self.columns:
                        yield np.hstack([view[:, :columns] for view in smoothed])

    @property
    def mixtures(self) -> int:
        """How many there are."""
        return len(list(product(self.neighbours, set(self.rounds), self.columns)))

    def _check(self, views: Mapping[str, Array], n: int) -> None:
        faults = Faults("consensus")
        for role, view in views.items():
            faults.check(
                not sp.issparse(view), f"the view {role} is sparse. Reduce it first, e.g. encode with pca."
            )
        faults.check(n >= self.clusters, f"{n} observations are fewer than {self.clusters} clusters.")
        faults.raise_if_any()

    def _mixture(self, x: Matrix, seed: int):  # type: ignore[no-untyped-def]
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        model = GaussianMixture(
            self.clusters, covariance_type="tied", n_init=self.n_init, random_state=seed, reg_covar=1e-6
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one of many; none has the last word
            return model.fit(x)


def likeliest(x: Matrix, means: Matrix, factor: Matrix, weights: Vector) -> Codes:
    """The likeliest component of each row: argmax of log w − ½ ‖(x − µ) L‖², with L Lᵀ the precision.

    Parameters
    ----------
    x
        Shape (n, d).
    means, factor, weights
        Of the mixture, shapes (k, d), (d, d) and (k,).
    """
    z, centres = x @ factor, means @ factor
    score = z @ centres.T - (centres**2).sum(axis=1) / 2 + np.log(weights)
    codes: Codes = score.argmax(axis=1)
    return codes


def side_by_side(codes: Sequence[Codes], clusters: int) -> Matrix:
    """Memberships of every mixture, shape (n, mixtures · clusters), rows of length 1."""
    n, joint = len(codes[0]), np.zeros((len(codes[0]), len(codes), clusters))
    for mixture, code in enumerate(codes):
        joint[np.arange(n), mixture, code] = 1 / np.sqrt(len(codes))
    return joint.reshape(n, -1)


@dataclass(frozen=True, eq=False)
class FittedConsensus(Saved):
    """The mixtures that `Consensus.fit` found.

    Parameters
    ----------
    component
        With which parameters.
    roles
        Dimension of each view.
    means, factors, weights
        Number of a mixture → its means (k, d), its Cholesky factor of the precision (d, d), its weights (k,).
    """

    component: Consensus
    roles: dict[str, int]
    means: dict[str, Matrix]
    factors: dict[str, Matrix]
    weights: dict[str, Vector]

    def __post_init__(self) -> None:
        names = {str(i) for i in range(self.component.mixtures)}
        if not self.means.keys() == self.factors.keys() == self.weights.keys() == names:
            raise ValueError(f"it needs {len(names)} mixtures")
        for name, mean in self.means.items():
            k, d = mean.shape
            if self.factors[name].shape != (d, d) or self.weights[name].shape != (k,):
                raise ValueError(f"the arrays of mixture {name} do not fit each other")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Memberships of other observations, smoothed over their own neighbours.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each dense of shape (n, d).
        places
            Where the n observations lie.

        Returns
        -------
        Shape (n, mixtures · clusters).

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        check_roles("consensus", views, len(places.um), self.roles)
        given = [np.asarray(views[role], np.float64) for role in self.roles]
        with one_thread():
            codes: list[Codes] = [
                likeliest(x, self.means[str(i)], self.factors[str(i)], self.weights[str(i)])
                for i, x in enumerate(self.component.seen(given, places))
            ]
        return side_by_side(codes, self.component.clusters)
