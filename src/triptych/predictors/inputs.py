"""What predictors are given: checked at the door, laid side by side, and brought to one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from triptych.core.checks import Faults, listing
from triptych.core.models import Fit, Saved
from triptych.core.protocols import Array, Indices, Matrix, Places, Vector
from triptych.predictors.door import check, check_settings, check_view, known, parts

__all__ = [
    "Scale",
    "Scaled",
    "Scales",
    "Split",
    "check",
    "check_settings",
    "divided",
    "known",
    "scaled",
    "taken",
]

Scale: TypeAlias = Literal["fit", "section"]
# Rows to learn from and rows to test → their matrices
Split: TypeAlias = Callable[[Indices, Indices], tuple[Matrix, Matrix]]

FLAT: Final = 1e-12  # of the largest value: a deviation that is rounding and nothing else


@dataclass(frozen=True, eq=False)
class Scales(Saved):
    """How views become one matrix: the base of `Scaled`, and of the models that read views.

    Parameters
    ----------
    roles
        In the order of their columns, which is that of their names.
    widths
        Columns of each.
    mean, std
        Of each column in the fit, shape (d,); deviation 0 marks one that was constant. With ``section`` 0 and
        1, for nothing is learned.
    scale
        ``fit``: (x - mean) / std of the fit; ``section``: of each section by itself, which makes its rows
        comparable with those of other scanners and stainings, and needs no label.
    clip
        Largest size of a standardised value.
    """

    roles: tuple[str, ...]
    widths: tuple[int, ...]
    mean: Vector
    std: Vector
    scale: Scale
    clip: float

    def __post_init__(self) -> None:
        d = sum(self.widths)
        if len(self.roles) != len(self.widths) or self.mean.shape != (d,) or self.std.shape != (d,):
            raise ValueError(f"its scale does not fit {len(self.roles)} views of {d} columns")

    def matrix(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """Lay views side by side on their scale.

        Parameters
        ----------
        views
            The roles and dimensions of the fit, each of shape (n, d), dense or CSR.
        places
            Where the n observations lie; only their sections matter.

        Returns
        -------
        Single precision, shape (n, sum of d), within ±clip; a column that is constant is 0. With ``section``
        the only row of a section is 0.

        Raises
        ------
        DataError
            When the views are not those of the fit, have values that are not finite, or would become larger
            than `LARGEST_GB`; all faults together.
        """
        self.check_views(views, len(places.um))
        out = np.empty((len(places.um), sum(self.widths)), np.float32)
        for rows in _sections(places) if self.scale == "section" else (np.arange(len(out)),):
            left = 0
            for role, d in zip(self.roles, self.widths, strict=True):
                columns = slice(left, left + d)
                mean, std = self._moments(views[role], rows, columns)
                for part in parts(rows):
                    block = np.divide(
                        _dense(views[role], part) - mean, std, out=np.zeros((len(part), d)), where=std > 0
                    )
                    out[part, columns] = np.clip(block, -self.clip, self.clip)
                left += d
        return out

    def _moments(self, view: Array, rows: Indices, columns: slice) -> tuple[Vector, Vector]:
        if self.scale == "section":
            return _moments(view, rows)
        return self.mean[columns], self.std[columns]

    def check_views(self, views: Mapping[str, Array], n: int) -> None:
        """Refuse views that are not those of the fit.

        Raises
        ------
        DataError
            With every fault found.
        """
        faults = Faults("views")
        missing = [role for role in self.roles if role not in views]
        extra = [role for role in views if role not in self.roles]
        told = f"the model knows {listing(self.roles)}; {{}}."
        faults.check(not missing, told.format(f"{listing(missing)} is missing"))
        faults.check(not extra, told.format(f"{listing(extra)} is not among them"))
        for role, d in zip(self.roles, self.widths, strict=True):
            if role in views and check_view(faults, role, views[role], n):
                told = f"the view {role} has {views[role].shape[1]} columns; the model knows {d}."
                faults.check(views[role].shape[1] == d, told)
        faults.raise_if_any(hint="Give the views that the model was fitted on.")


@dataclass(frozen=True, eq=False)
class Scaled(Scales):
    """The scale that `scaled` found, with the parameters of `Scales`."""

    def apply(self, views: Mapping[str, Array], places: Places) -> Matrix:
        """As `Scales.matrix`."""
        return self.matrix(views, places)


def scaled(
    views: Mapping[str, Array], places: Places, *, scale: Scale = "fit", clip: float = 10.0
) -> Fit[Matrix, Scaled]:
    """Lay views side by side on one scale, and keep it.

    Parameters
    ----------
    views
        By role, each of shape (n, d), dense or CSR.
    places
        Where the n observations lie; only their sections matter.
    scale, clip
        As of `Scales`.

    Returns
    -------
    The matrix, single precision, shape (n, sum of d), and the model that makes others like it.

    Raises
    ------
    DataError
        As `Scales.matrix` does.
    """
    roles = tuple(sorted(views))
    faults = Faults("views")
    for role in roles:
        check_view(faults, role, views[role], len(places.um))
    faults.raise_if_any()
    widths = tuple(int(views[role].shape[1]) for role in roles)
    mean, std = np.zeros(sum(widths)), np.ones(sum(widths))
    if scale == "fit":
        found = [_moments(views[role], np.arange(len(places.um))) for role in roles]
        mean, std = (np.concatenate(part) for part in zip(*found, strict=True))
    model = Scaled(roles, widths, mean, std, scale, clip)
    return Fit(model.apply(views, places), model)


def taken(views: Mapping[str, Any], places: Places, rows: Indices) -> tuple[dict[str, Any], Places]:
    """Some rows of views and places, in their order."""
    grid = None if places.grid is None else places.grid[rows]
    chosen = Places(places.um[rows], places.sample[rows], grid, places.lattice)
    return {role: view[rows] for role, view in views.items()}, chosen


def divided(
    views: Mapping[str, Array], places: Places, learn: Indices, test: Indices, *, scale: Scale, clip: float
) -> tuple[Matrix, Matrix]:
    """Rows to learn from and rows to test, on a scale that those to be tested have no part in.

    Parameters
    ----------
    views, places
        Of n observations.
    learn, test
        Rows of either kind.
    scale, clip
        As of `Scales`. With ``section`` each row is on the scale of its whole section, as it will be later.

    Returns
    -------
    Single precision, shapes (len(learn), d) and (len(test), d).
    """
    if scale == "section":
        whole = scaled(views, places, scale=scale, clip=clip).value
        return whole[learn], whole[test]
    fitted = scaled(*taken(views, places, learn), scale=scale, clip=clip)
    return fitted.value, fitted.model.apply(*taken(views, places, test))


def _sections(places: Places) -> Iterator[Indices]:
    """Rows of each section."""
    for section in np.unique(places.sample):
        yield np.flatnonzero(places.sample == section)


def _dense(view: Array, rows: Indices) -> Matrix:
    """Some rows in double precision."""
    part = view[rows]
    return np.asarray(part if isinstance(part, np.ndarray) else part.toarray(), np.float64)


def _moments(view: Array, rows: Indices) -> tuple[Vector, Vector]:
    """Mean and deviation of each column of some rows; the deviation of a constant column is 0."""
    d, n = view.shape[1], max(len(rows), 1)
    mean, square, largest = np.zeros(d), np.zeros(d), np.zeros(d)
    for part in parts(rows):
        block = _dense(view, part)
        mean += block.sum(axis=0) / n
        np.maximum(largest, np.abs(block).max(axis=0), out=largest)
    for part in parts(rows):
        square += ((_dense(view, part) - mean) ** 2).sum(axis=0) / n
    std = np.sqrt(square)
    return mean, np.where(std <= FLAT * largest, 0.0, std)
