"""Columns worth keeping: neither missing, nor nearly constant, nor copies of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal
from warnings import warn

import numpy as np
import pandas as pd
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.extras import need
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Indices, Matrix, Places, Vector
from triptych.fusers.balance import check_roles, check_views, largest
from triptych.maths.threads import one_thread

WIDEST: Final = 5000  # columns, whose correlations are d × d


@dataclass(frozen=True)
class Select:
    """Feature selection of pycytominer, in the order of the parameters, and standardised columns.

    Views, one as a rule, stand side by side in the order of their roles' names. A column that was missing
    here and there is filled with its median in the fit. What pycytominer called variance_threshold until 1.6
    looks at frequencies, which do not depend on the scale of a column; it is frequency_threshold today.

    Parameters
    ----------
    na_cutoff
        A column is left out when more than this share of its values is missing.
    freq_cut
        Or when its second most common value is rarer than this, relative to the most common one.
    unique_cut
        Or when it has fewer different values than this, relative to the observations.
    threshold
        Of two columns whose correlation is above this, the one that is more correlated with all the others is
        left out. Columns that run against each other both stay.
    method
        Of the correlation.
    standardise
        Whether to bring each column that is left to mean 0 and variance 1.
    most
        Rows that are looked at for the choice: when there are more, so many drawn at random. Medians, means
        and variances are of all rows.
    """

    na_cutoff: float = 0.05
    freq_cut: float = 0.05
    unique_cut: float = 0.01
    threshold: float = 0.9
    method: Literal["pearson", "spearman"] = "pearson"
    standardise: bool = True
    most: int = 20_000

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True  # the rows looked at, when there are many
    cite: ClassVar[str] = "10.1038/s41592-025-02611-8"
    extra: ClassVar[tuple[str, str]] = ("pycytominer", "profiling")

    def __post_init__(self) -> None:
        for name in ("na_cutoff", "freq_cut", "unique_cut", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        if self.most < 2:
            raise ValueError(f"most must be at least 2, got {self.most}")

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix:
        """Choose columns.

        Parameters
        ----------
        views
            By role, each of shape (n, d), dense or CSR; NaN where a value is missing.
        places
            Where the n observations lie; only their number matters.
        rng
            Draws the rows that are looked at, when there are more than ``most``.

        Returns
        -------
        Shape (n, k), nothing missing.

        Warns
        -----
        TriptychWarning
            When values of the chosen columns were missing.

        Raises
        ------
        DataError
            When the views cannot be used, or no column is left.
        MissingExtraError
            When pycytominer is not installed.
        """
        return self.fit(views, places, rng).value

    def fit(
        self, views: Mapping[str, Array], places: Places, rng: np.random.Generator
    ) -> Fit[Matrix, FittedSelection]:
        """Choose columns, and keep which, and their medians and moments.

        Parameters
        ----------
        views, places, rng
            As for `fuse`.

        Raises
        ------
        DataError
            As `fuse` does.
        """
        check_views("select", _known(views), len(places.um), {})
        x = _joint({role: views[role] for role in sorted(views)})
        columns = self._chosen(x if len(x) <= self.most else x[_drawn(len(x), self.most, rng)])
        chosen = x[:, columns]
        median = np.nanmedian(chosen, axis=0)
        mean, deviation = self._moments(np.where(np.isnan(chosen), median, chosen))
        model = FittedSelection(
            component=self,
            roles={role: views[role].shape[1] for role in sorted(views)},
            columns=columns, median=median, mean=mean, deviation=deviation,
        )  # fmt: skip
        return Fit(model.taken(x), model)

    def restore(self, folder: Path) -> FittedSelection:
        """Read the model that was saved in a folder."""
        return FittedSelection.load(folder)

    def _chosen(self, x: Matrix) -> Indices:
        """Columns that every operation leaves, ascending."""
        operations: Any = need("pycytominer.operations", "profiling")
        table = pd.DataFrame(x, columns=[str(column) for column in range(x.shape[1])])
        left = [name for name in table if not table[name].isna().all()]
        lost = {"all missing": x.shape[1] - len(left)}
        steps = (
            ("often missing", operations.get_na_columns, {"cutoff": self.na_cutoff}),
            ("hardly varied", operations.frequency_threshold,
             {"freq_cut": self.freq_cut, "unique_cut": self.unique_cut}),
            ("correlated", operations.correlation_threshold,
             {"threshold": self.threshold, "method": self.method}),
        )  # fmt: skip
        with one_thread(), np.errstate(divide="ignore", invalid="ignore"):  # the same bits; constant columns
            for what, operation, settings in steps:
                gone = set(operation(table, features=left, **settings)) if left else set()
                left, lost[what] = [name for name in left if name not in gone], len(gone)
        if not left:
            reasons = ", ".join(f"{number} {what}" for what, number in lost.items() if number)
            raise DataError(
                f"select: none of {x.shape[1]} columns of {len(x)} observations is left: {reasons}.",
                "Raise na_cutoff, or lower freq_cut and unique_cut.",
            )
        return np.array(left, np.int64)

    def _moments(self, x: Matrix) -> tuple[Vector, Vector]:
        """Mean and deviation of each column; deviation 0 marks one that is constant."""
        if not self.standardise:
            return np.zeros(x.shape[1]), np.ones(x.shape[1])
        deviation = x.std(axis=0)
        # Rounding leaves a constant column a deviation of about 1e-16 of its size.
        return x.mean(axis=0), np.where(deviation <= 1e-12 * largest(x), 0.0, deviation)


@dataclass(frozen=True, eq=False)
class FittedSelection(Saved):
    """Which columns `Select.fit` chose, and their scales.

    Parameters
    ----------
    component
        With which parameters.
    roles
        Dimension d of each view, in the order of their columns.
    columns
        Of the views side by side, ascending, shape (k,).
    median
        What stands for a missing value, shape (k,).
    mean, deviation
        Of each column, each of shape (k,); deviation 0 marks one that was constant.
    """

    component: Select
    roles: dict[str, int]
    columns: Indices
    median: Vector
    mean: Vector
    deviation: Vector

    def __post_init__(self) -> None:
        d, k = sum(self.roles.values()), self.columns.shape
        if not len(k) == 1 or not all(part.shape == k for part in (self.median, self.mean, self.deviation)):
            raise ValueError("its arrays do not fit each other")
        if not np.issubdtype(self.columns.dtype, np.integer) or not np.isin(self.columns, np.arange(d)).all():
            raise ValueError(f"it chose columns of which there are {d}")

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """The same columns of other observations, on the scales of the fit.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR; NaN where a value is
            missing.
        places
            Where the n observations lie; only their number matters.

        Returns
        -------
        Shape (n, k); a missing value is the median of the fit, a column that was constant there is 0.

        Warns
        -----
        TriptychWarning
            When values of these columns are missing.

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        check_roles("select", _known(views), len(places.um), self.roles)
        return self.taken(_joint({role: views[role] for role in self.roles}))

    def taken(self, x: Matrix) -> Matrix:
        """The chosen ones of all columns, filled and on the scales of the fit."""
        x = x[:, self.columns]
        missing = np.isnan(x)
        if missing.any():
            columns = np.count_nonzero(missing.any(axis=0))
            warn(
                f"select: {np.count_nonzero(missing)} of {x.size} values are missing, in {columns} of "
                f"{x.shape[1]} columns; the median of the column in the fit stands for them.",
                TriptychWarning,
                stacklevel=2,
            )
            x = np.where(missing, self.median, x)
        flat = self.deviation == 0
        return np.where(flat, 0.0, (x - self.mean) / np.where(flat, 1.0, self.deviation))


def _drawn(n: int, most: int, rng: np.random.Generator) -> Indices:
    return np.sort(rng.choice(n, most, replace=False))


def _known(views: Mapping[str, Array]) -> dict[str, Array]:
    """The views with 0 for what is missing, so that they pass where all must be finite."""
    return {
        role: view if sp.issparse(view) else np.where(np.isnan(view), 0, view) for role, view in views.items()
    }


def _joint(views: Mapping[str, Array]) -> Matrix:
    """The views side by side, dense, shape (n, sum of d)."""
    d = sum(view.shape[1] for view in views.values())
    if d > WIDEST:
        raise DataError(
            f"select: there are {d} columns; it compares each with each, and takes at most {WIDEST}.",
            "Reduce the views first, e.g. with an encode step that uses pca.",
        )
    dense = [
        view.toarray() if isinstance(view, sp.csr_matrix) else np.asarray(view) for view in views.values()
    ]
    return np.hstack(dense).astype(np.float64)
