"""The mean abundance of every type, whatever the views: the control of every predictor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.models import Fit
from triptych.core.protocols import Array, Codes, Places, Vector
from triptych.predictors.inner import bounded, inner_folds, learned_and_tested, margins
from triptych.predictors.inputs import Scales, check, check_settings, known, scaled, taken


@dataclass(frozen=True, eq=False)
class FittedMean(Scales):
    """The means that `Mean` learned; the parameters of `Scales` only tell which views are expected.

    Parameters
    ----------
    average
        Of each type, shape (t,).
    margin
        Of each type, shape (t,).
    types
        Their names.
    """

    average: Vector
    margin: Vector
    types: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        t = len(self.types)
        if self.average.shape != (t,) or self.margin.shape != (t,):
            raise ValueError(f"its arrays do not fit {t} types")

    def apply(self, views: Mapping[str, Array], places: Places) -> Abundance:
        """Say the same of each observation.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d); what they hold plays no part.
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Shape (n, t), with low and high.

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        self.check_views(views, len(places.um))
        return self.guess(len(places.um))

    def guess(self, n: int) -> Abundance:
        """The means, ``n`` times."""
        return bounded(np.tile(self.average, (n, 1)), np.ones((n, 1)), self.margin, self.types)


@dataclass(frozen=True)
class Mean:
    """Guess the mean of the observations that are learned from.

    What a predictor adds to it is what the views tell. Over the observations of a section its correlation
    with anything is undefined, as it does not vary.

    Parameters
    ----------
    level
        Share of values that the interval should hold.

    Notes
    -----
    Interval: ȳ_t ± q_t, with q_t the conformal quantile of |y - ȳ_t| over inner folds, whose ȳ is that of the
    others.
    """

    level: float = 0.9

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    takes: ClassVar[Literal["views", "windows"]] = "views"
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_settings(self.level)

    def fit(
        self,
        views: Mapping[str, Array],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Fit[Abundance, FittedMean]:
        """Take the means.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR; what they hold plays no part.
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
            When the inputs do not fit together, or cannot be divided.
        """
        check("mean", views, target, places, groups)
        rows = known(target)
        y = np.asarray(target.values[rows], np.float64)
        values = np.empty_like(y)
        for learn, test in learned_and_tested(inner_folds(groups[rows], taken({}, places, rows)[1])):
            values[test] = y[learn].mean(axis=0)
        margin = margins(y - values, np.ones((len(y), 1)), self.level)
        scale = scaled(*taken(views, places, rows[:1]), scale="section").model  # which learns nothing
        model = FittedMean(**vars(scale), average=y.mean(axis=0), margin=margin, types=target.types)
        return Fit(model.guess(len(places.um)), model)

    def restore(self, folder: Path) -> FittedMean:
        """Read a model that was saved."""
        return FittedMean.load(folder)
