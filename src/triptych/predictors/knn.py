"""The mean abundance of the most similar observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError
from triptych.core.models import Fit
from triptych.core.protocols import Array, Codes, Indices, Matrix, Places, Vector
from triptych.maths.threads import one_thread
from triptych.predictors.inner import bounded, inner_folds, learned_and_tested, margins, summed_errors
from triptych.predictors.inputs import Scales, Split, check, check_settings, divided, known, scaled, taken
from triptych.predictors.spectrum import check_size, spectrum

ROWS: Final = 1024  # searched at once
FLOOR: Final = 0.1  # of the deviation of a type: the least spread, where neighbours agree by chance


@dataclass(frozen=True, eq=False)
class FittedKnn(Scales):
    """The observations that `Knn` learned from, after the parameters of `Scales`.

    Parameters
    ----------
    centre, loadings
        Of the principal components, shapes (d,) and (d, c).
    codes
        Rows of the fit on these components, shape (m, c).
    known
        Their abundances, shape (m, t).
    floor
        Least spread of each type, shape (t,).
    margin
        Of each type, shape (t,).
    types
        Their names.
    chosen
        ``neighbours``, how many are averaged.
    """

    centre: Vector
    loadings: Matrix
    codes: Matrix
    known: Matrix
    floor: Vector
    margin: Vector
    types: tuple[str, ...]
    chosen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        d, t, m, c = len(self.mean), len(self.types), *self.codes.shape
        shapes = [self.centre.shape, self.loadings.shape, self.known.shape, self.floor.shape]
        if [*shapes, self.margin.shape] != [(d,), (d, c), (m, t), (t,), (t,)]:
            raise ValueError(f"its arrays do not fit {d} columns, {m} rows and {t} types")
        if not 1 <= self.chosen.get("neighbours", 0) <= m:
            raise ValueError(f"it does not tell how many of its {m} rows are neighbours")

    def apply(self, views: Mapping[str, Array], places: Places) -> Abundance:
        """Guess the abundances of other observations.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their sections matter, where each is scaled by itself.

        Returns
        -------
        Shape (n, t), with low and high.

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        return self.guess(self.matrix(views, places))

    def guess(self, x: Matrix) -> Abundance:
        """As `apply`, of rows that were scaled, shape (n, d)."""
        with one_thread():
            new = _codes(x, self.centre, self.loadings)
            values, deviations = averaged(new, self.codes, self.known, (self.chosen["neighbours"],))
        return bounded(values[0], deviations[0] + self.floor, self.margin, self.types)


@dataclass(frozen=True)
class Knn:
    """The mean over the nearest observations, in the leading principal components of the views.

    Parameters
    ----------
    neighbours
        Numbers of neighbours to choose from; those above the number of observations are left out.
    components
        Of the views, each counting by its variance; at most what there is.
    scale
        ``fit``: columns by mean and deviation of the fit; ``section``: each section by its own.
    clip
        Largest size of a standardised value.
    level
        Share of values that the interval should hold.

    Notes
    -----
    ŷ_t = mean of y_t over the k nearest (Cover and Hart 1967). The k is chosen that guesses best the inner
    folds, each from the others: least Σ_t MSE_t / var_t. Interval: ŷ_t ± q_t s_t, with s_t the deviation of
    y_t among the neighbours plus a tenth of its deviation in the fit, and q_t the conformal quantile of
    |y - ŷ| / s over the inner folds.
    """

    neighbours: tuple[int, ...] = (5, 10, 20, 40, 80)
    components: int = 50
    scale: Literal["fit", "section"] = "fit"
    clip: float = 10.0
    level: float = 0.9

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    takes: ClassVar[Literal["views", "windows"]] = "views"
    cite: ClassVar[str] = "10.1109/TIT.1967.1053964"

    def __post_init__(self) -> None:
        if not self.neighbours or min(self.neighbours) < 1:
            raise ValueError(f"neighbours must be numbers from 1, at least one; got {self.neighbours}")
        if self.components < 1:
            raise ValueError("components must be at least 1")
        check_settings(self.level, self.clip)

    def fit(
        self,
        views: Mapping[str, Array],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Fit[Abundance, FittedKnn]:
        """Choose the number of neighbours, and keep the observations.

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
            When the inputs do not fit together, cannot be divided, or are too few or too many.
        """
        check("knn", views, target, places, groups)
        rows = known(target)
        check_size("knn", len(rows), sum(view.shape[1] for view in views.values()))
        y = np.asarray(target.values[rows], np.float64)
        folds = inner_folds(groups[rows], taken({}, places, rows)[1])

        def split(learn: Indices, test: Indices) -> tuple[Matrix, Matrix]:
            return divided(views, places, rows[learn], rows[test], scale=self.scale, clip=self.clip)

        with one_thread():
            floor = _floor(y)
            k, margin = self._chosen(split, y, folds)
            scale = scaled(*taken(views, places, rows), scale=self.scale, clip=self.clip).model
            x = scale.apply(views, places)
            centre, loadings = _components(x[rows], y, self.components)
            model = FittedKnn(
                **vars(scale), centre=centre, loadings=loadings, codes=_codes(x[rows], centre, loadings),
                known=y, floor=floor, margin=margin, types=target.types, chosen={"neighbours": k},
            )  # fmt: skip
        return Fit(model.guess(x), model)

    def restore(self, folder: Path) -> FittedKnn:
        """Read a model that was saved."""
        return FittedKnn.load(folder)

    def _chosen(self, split: Split, y: Matrix, folds: Codes) -> tuple[int, Vector]:
        """The number of neighbours that guesses the inner folds best, and the margin of each type with it."""
        least = len(y) - int(np.bincount(folds).max())
        ks = tuple(k for k in self.neighbours if k <= least)
        if not ks:
            raise DataError(
                f"knn: an inner fold is guessed from {least} observations; neighbours are {self.neighbours}.",
                "Name fewer neighbours, or give more observations.",
            )
        values, deviations = np.empty((len(ks), *y.shape)), np.empty((len(ks), *y.shape))
        for learn, test in learned_and_tested(folds):
            x, new = split(learn, test)
            centre, loadings = _components(x, y[learn], self.components)
            x, new = _codes(x, centre, loadings), _codes(new, centre, loadings)
            values[:, test], deviations[:, test] = averaged(new, x, y[learn], ks)
        best = int(summed_errors(y, values).argmin())
        return ks[best], margins(y - values[best], deviations[best] + _floor(y), self.level)


def averaged(new: Matrix, codes: Matrix, known: Matrix, ks: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    """Mean and deviation over the nearest rows, for several numbers of them.

    Parameters
    ----------
    new
        Rows whose neighbours are sought, shape (n, c).
    codes
        Rows among which they are sought, exactly, shape (m, c).
    known
        Values of the latter, shape (m, t).
    ks
        Numbers of neighbours, a of them.

    Returns
    -------
    Each of shape (a, n, t).
    """
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=max(ks), algorithm="brute").fit(codes)
    means = np.empty((len(ks), len(new), known.shape[1]))
    deviations = np.empty_like(means)
    for start in range(0, len(new), ROWS):
        rows = slice(start, start + ROWS)
        near = known[model.kneighbors(new[rows], return_distance=False)]
        for at, k in enumerate(ks):
            means[at, rows], deviations[at, rows] = near[:, :k].mean(axis=1), near[:, :k].std(axis=1)
    return means, deviations


def _components(x: Matrix, y: Matrix, components: int) -> tuple[Vector, Matrix]:
    """Means of the columns and loadings; all columns as they are where there are not more."""
    if x.shape[1] <= components:
        return x.mean(axis=0, dtype=np.float64), np.eye(x.shape[1])
    found = spectrum(x, y)
    if not found.values.any():
        raise DataError("knn: no column of the views varies.", "Name other views in its reads.")
    return found.centre, np.ascontiguousarray(found.vectors[:, : -components - 1 : -1])


def _codes(x: Matrix, centre: Vector, loadings: Matrix) -> Matrix:
    """Rows on the components, shape (n, c)."""
    codes = np.empty((len(x), loadings.shape[1]))
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        codes[rows] = (x[rows] - centre) @ loadings
    return codes


def _floor(y: Matrix) -> Vector:
    """The least spread of each type, above 0."""
    deviation = y.std(axis=0)
    return np.where(deviation > 0, FLOOR * deviation, 1.0)
