"""A mixture of Gaussians."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from triptych.clusterers.door import by_size, check_clusters, check_like, in_use
from triptych.core.errors import NumericsError, TriptychWarning
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Codes, Matrix, Vector
from triptych.core.randomness import seed_from
from triptych.maths.threads import one_thread

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


@dataclass(frozen=True)
class Gaussian:
    """The likeliest component of a Gaussian mixture, fitted by expectation and maximisation.

    Parameters
    ----------
    k
        Number of components.
    covariance
        ``tied``: one matrix for all; ``full``: one each; ``diag``: variances only, one set each.
    n_init
        Number of starts from k-means; the likeliest fit is kept.
    reg
        Added to the diagonal of the covariances, in squared units of the data.
    max_iter
        Steps of each start at most.
    """

    k: int = 8
    covariance: Literal["tied", "full", "diag"] = "tied"
    n_init: int = 10
    reg: float = 1e-6
    max_iter: int = 200

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1111/j.2517-6161.1977.tb01600.x"

    def __post_init__(self) -> None:
        if self.k < 1 or self.n_init < 1 or self.max_iter < 1:
            raise ValueError("k, n_init and max_iter must be at least 1")
        if self.reg < 0:
            raise ValueError("reg must not be negative")

    def cluster(self, x: Matrix, rng: np.random.Generator) -> Codes:
        """Fit the mixture and assign the rows.

        Parameters
        ----------
        x
            Shape (n, d).
        rng
            Seeds the starts.

        Returns
        -------
        Codes by falling size, shape (n,); at most k are in use, as a component may be no row's likeliest.

        Raises
        ------
        DataError
            When values are not finite or there are fewer than k distinct rows.
        NumericsError
            When a covariance is singular.
        """
        return self.fit(x, rng).value

    def fit(self, x: Matrix, rng: np.random.Generator) -> Fit[Codes, FittedGaussian]:
        """Fit the mixture, assign the rows, and keep the components that are some row's likeliest.

        Parameters
        ----------
        x, rng
            As for `cluster`.

        Raises
        ------
        DataError
            When values are not finite or there are fewer than k distinct rows.
        NumericsError
            When a covariance is singular.
        """
        check_clusters("gaussian", x, self.k)
        model = self.mixture(seed_from(rng))
        codes = self._predicted(model, x)
        if not model.converged_:
            warnings.warn(
                f"gaussian: the mixture did not converge in {self.max_iter} steps. Raise max_iter.",
                TriptychWarning,
                stacklevel=3,
            )
        value = by_size(codes)
        kept = in_use(codes, value)
        precisions = (
            model.precisions_cholesky_ if self.covariance == "tied" else model.precisions_cholesky_[kept]
        )
        return Fit(value, FittedGaussian(self, model.weights_[kept], model.means_[kept], precisions))

    def restore(self, folder: Path) -> FittedGaussian:
        """Read the model that was saved in a folder."""
        return FittedGaussian.load(folder)

    def mixture(self, seed: int) -> GaussianMixture:
        """What scikit-learn fits.

        Parameters
        ----------
        seed
            Of the starts.
        """
        from sklearn.mixture import GaussianMixture

        return GaussianMixture(
            self.k,
            covariance_type=self.covariance,
            n_init=self.n_init,
            reg_covar=self.reg,
            max_iter=self.max_iter,
            random_state=seed,
        )

    def _predicted(self, model: GaussianMixture, x: Matrix) -> Codes:
        from sklearn.exceptions import ConvergenceWarning

        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told by the caller, in our words
            try:
                return np.asarray(model.fit_predict(np.asarray(x, np.float64)))
            except ValueError as error:  # the data are checked before: only a singular covariance is left
                raise NumericsError(
                    f"gaussian: a covariance of {self.k} components in {x.shape[1]} dimensions is singular.",
                    "Raise reg, lower k, reduce the dimension, or use covariance: tied.",
                ) from error


@dataclass(frozen=True, eq=False)
class FittedGaussian(Saved):
    """The mixture that `Gaussian.fit` found, without components that are no row's likeliest.

    Parameters
    ----------
    component
        With which parameters.
    weights
        Of the m components in the order of the codes, shape (m,).
    means
        Shape (m, d).
    precisions
        Cholesky factors of the inverse covariances: shape (d, d) when tied, (m, d, d) when full; inverse
        deviations of shape (m, d) when diagonal.
    """

    component: Gaussian
    weights: Vector
    means: Matrix
    precisions: Matrix

    def __post_init__(self) -> None:
        m, d = len(self.weights), self.means.shape[-1]
        wanted = {"tied": (d, d), "full": (m, d, d), "diag": (m, d)}[self.component.covariance]
        if self.weights.shape != (m,) or self.means.shape != (m, d) or self.precisions.shape != wanted:
            raise ValueError(f"its arrays do not fit {m} components in {d} dimensions")

    def apply(self, x: Matrix) -> Codes:
        """Give each row to its likeliest component.

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
        check_like("gaussian", x, self.means.shape[1])
        model = self.component.mixture(seed=0)
        model.weights_, model.means_, model.precisions_cholesky_ = self.weights, self.means, self.precisions
        with one_thread():
            return np.asarray(model.predict(np.asarray(x, np.float64)))
