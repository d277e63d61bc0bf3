"""Ridge regression of the abundance of every type on the views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.models import Fit
from triptych.core.protocols import Array, Codes, Indices, Matrix, Places, Vector
from triptych.maths.threads import threads_for
from triptych.predictors.inner import inner_folds, learned_and_tested, margins, summed_errors
from triptych.predictors.inputs import Split, check, check_settings, divided, known, scaled, taken
from triptych.predictors.ridge_fitted import FittedRidge
from triptych.predictors.spectrum import check_size, guessed, spectrum

ALPHAS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6)


@dataclass(frozen=True)
class Ridge:
    """Linear regression of all types at once, with a penalty on the size of the coefficients.

    Parameters
    ----------
    alphas
        Penalties to choose from, for columns of variance 1.
    scale
        ``fit``: columns by mean and deviation of the fit; ``section``: each section by its own.
    clip
        Largest size of a standardised value.
    level
        Share of values that the interval should hold.

    Notes
    -----
    B = (X_cᵀX_c + αI)⁻¹ X_cᵀY_c (Hoerl and Kennard 1970), ŷ = ȳ + c B for a row c less the mean row. The α is
    chosen that guesses best the inner folds, each from the others: least Σ_t MSE_t / var_t. One decomposition
    of a fold serves every α. Interval: ŷ ± q_t √(1 + h), with h = 1/n + c(X_cᵀX_c + αI)⁻¹cᵀ the leverage,
    large where a row is unlike those of the fit, and q_t the conformal quantile of |y - ŷ| / √(1 + h) over
    the inner folds.
    """

    alphas: tuple[float, ...] = ALPHAS
    scale: Literal["fit", "section"] = "fit"
    clip: float = 10.0
    level: float = 0.9

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    takes: ClassVar[Literal["views", "windows"]] = "views"
    cite: ClassVar[str] = "10.1080/00401706.1970.10488634"

    def __post_init__(self) -> None:
        if not self.alphas or not all(0 < alpha < np.inf for alpha in self.alphas):
            raise ValueError(f"alphas must be positive numbers, at least one; got {self.alphas}")
        check_settings(self.level, self.clip)

    def fit(
        self,
        views: Mapping[str, Array],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Fit[Abundance, FittedRidge]:
        """Choose the penalty, and learn with it.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR.
        target
            Of the n observations; rows of NaN are not learned from.
        places
            Where they lie.
        groups
            Code of what is held out together inside the fit, shape (n,).
        rng
            Not drawn from.

        Raises
        ------
        DataError
            When the inputs do not fit together, cannot be divided, or are too many.
        """
        check("ridge", views, target, places, groups)
        rows = known(target)
        check_size("ridge", len(rows), sum(view.shape[1] for view in views.values()))
        y = np.asarray(target.values[rows], np.float64)
        folds = inner_folds(groups[rows], taken({}, places, rows)[1])

        def split(learn: Indices, test: Indices) -> tuple[Matrix, Matrix]:
            return divided(views, places, rows[learn], rows[test], scale=self.scale, clip=self.clip)

        with threads_for(len(rows)):
            alpha, margin = self._chosen(split, y, folds)
            scale = scaled(*taken(views, places, rows), scale=self.scale, clip=self.clip).model
            x = scale.apply(views, places)
            found = spectrum(x[rows], y)
            model = FittedRidge(
                **vars(scale), coefficients=found.coefficients(alpha), centre=found.centre,
                offset=found.offset, directions=found.directions(alpha), rows=len(rows),
                margin=margin, types=target.types, chosen={"alpha": alpha},
            )  # fmt: skip
            return Fit(model.guess(x), model)

    def restore(self, folder: Path) -> FittedRidge:
        """Read a model that was saved."""
        return FittedRidge.load(folder)

    def _chosen(self, split: Split, y: Matrix, folds: Codes) -> tuple[float, Vector]:
        """The penalty that guesses the inner folds best, and the margin of each type with it."""
        guesses = np.empty((len(self.alphas), *y.shape))
        leverages = np.empty((len(self.alphas), len(y)))
        for learn, test in learned_and_tested(folds):
            x, new = split(learn, test)
            guesses[:, test], leverages[:, test] = guessed(new, spectrum(x, y[learn]), self.alphas)
        best = int(summed_errors(y, guesses).argmin())
        residual = y - np.clip(guesses[best], 0.0, None)
        spread = np.sqrt(1 + leverages[best])[:, None]
        return self.alphas[best], margins(residual, spread, self.level)
