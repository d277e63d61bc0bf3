"""A mixture of Gaussians."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.clusterers.door import by_size, check_clusters
from triptych.core.errors import NumericsError, TriptychWarning
from triptych.core.protocols import Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.maths.threads import one_thread


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
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        check_clusters("gaussian", x, self.k)
        model = GaussianMixture(
            self.k,
            covariance_type=self.covariance,
            n_init=self.n_init,
            reg_covar=self.reg,
            max_iter=self.max_iter,
            random_state=seed_from(rng),
        )
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told below, in our words
            try:
                codes = model.fit_predict(np.asarray(x, np.float64))
            except ValueError as error:  # the data are checked above: only a singular covariance is left
                raise NumericsError(
                    f"gaussian: a covariance of {self.k} components in {x.shape[1]} dimensions is singular.",
                    "Raise reg, lower k, reduce the dimension, or use covariance: tied.",
                ) from error
        if not model.converged_:
            warnings.warn(
                f"gaussian: the mixture did not converge in {self.max_iter} steps. Raise max_iter.",
                TriptychWarning,
                stacklevel=2,
            )
        return by_size(codes)
