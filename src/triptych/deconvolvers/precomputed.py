"""Abundances that somebody computed before, checked and passed on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Counts, Matrix


@dataclass(frozen=True)
class Precomputed:
    """A table as it was given.

    Parameters
    ----------
    types
        Cell types to keep, in this order; empty for all.
    merge
        New type → the types whose sum it is, made before types are kept; it stands where the first of them
        stood.
    normalise
        ``proportions`` makes each row sum to 1, over the types kept; ``none`` leaves the numbers.
    made_by
        What computed the table, for the report, e.g. ``stereoscope``.
    """

    types: tuple[str, ...] = ()
    merge: dict[str, tuple[str, ...]] = field(default_factory=dict)
    normalise: Literal["none", "proportions"] = "none"
    made_by: str = ""

    takes: ClassVar[Literal["reference", "table"]] = "table"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if len(set(self.types)) < len(self.types):
            raise ValueError("types must not name one twice")
        merged = [name for names in self.merge.values() for name in names]
        if len(set(merged)) < len(merged) or not all(self.merge.values()):
            raise ValueError("merge must name at least one type for each new one, and none twice")

    @property
    def gives(self) -> str:
        """What the numbers are."""
        kind = "proportions" if self.normalise == "proportions" else "abundances"
        return f"{kind} given by {self.made_by}" if self.made_by else f"{kind} as they were given"

    def deconvolve(self, counts: Counts, given: Abundance, rng: np.random.Generator) -> Abundance:
        """Check the table, keep what was asked for, and hand it on.

        Parameters
        ----------
        counts
            Of the same n observations; only their number is looked at.
        given
            Shape (n, t); a row of NaN is unknown.
        rng
            Not used.

        Returns
        -------
        Shape (n, types kept), float64. Intervals that were given stay with their values, but those of a sum
        do not follow from those of its parts: after merging there are none.

        Warns
        -----
        TriptychWarning
            When rows are all 0 and cannot sum to 1; they become NaN.

        Raises
        ------
        DataError
            When rows differ in number, a type does not exist or is there twice, or values are negative,
            infinite or missing in part of a row; all faults together.
        """
        self._check(counts, given)
        given = self._merged(given) if self.merge else given
        columns = [given.types.index(name) for name in self.types or given.types]
        types = tuple(given.types[column] for column in columns)
        values = np.asarray(given.values, np.float64)[:, columns]
        total = _total(values) if self.normalise == "proportions" else np.ones((len(values), 1))
        ends = [
            None if end is None else np.asarray(end, np.float64)[:, columns] / total
            for end in (given.low, given.high)
        ]
        return Abundance(values / total, types, *ends)

    def _check(self, counts: Counts, given: Abundance) -> None:
        """Refuse a table that does not fit the observations, the parameters or the meaning of abundance."""
        faults, n = Faults("precomputed"), counts.matrix.shape[0]
        shape = (n, len(given.types))
        for what, part in {"table": given.values, "low end": given.low, "high end": given.high}.items():
            if part is not None and part.shape != shape:
                faults.add(f"the {what} has shape {part.shape}; observations and types need {shape}")
        doubles = sorted({name for name in given.types if given.types.count(name) > 1})
        faults.check(not doubles, f"types are there more than once: {listing(doubles, 5)}")
        self._check_names(given.types, faults)
        _check_values(np.asarray(given.values, np.float64), faults)
        faults.raise_if_any()

    def _check_names(self, types: tuple[str, ...], faults: Faults) -> None:
        """Note types that are asked for and not there."""
        for new, names in self.merge.items():
            for name in (name for name in names if name not in types):
                faults.add(f"there is no type {name} to merge. {nearest(name, types)}")
            faults.check(
                new not in types or new in names, f"merge makes the type {new}, which is there already"
            )
        after = self._types_after(types)
        for name in (name for name in self.types if name not in after):
            faults.add(f"there is no type {name}. {nearest(name, after)}")

    def _types_after(self, types: tuple[str, ...]) -> tuple[str, ...]:
        """The types after merging, each where it or the first of its parts stood."""
        into = {name: new for new, names in self.merge.items() for name in names}
        return tuple(dict.fromkeys(into.get(name, name) for name in types))

    def _merged(self, given: Abundance) -> Abundance:
        """Sums of the types that belong together."""
        after = self._types_after(given.types)
        into = {name: new for new, names in self.merge.items() for name in names}
        sums = np.zeros((len(given.types), len(after)))
        sums[np.arange(len(given.types)), [after.index(into.get(name, name)) for name in given.types]] = 1.0
        return Abundance(np.asarray(given.values, np.float64) @ sums, after)


def _check_values(values: Matrix, faults: Faults) -> None:
    """Note values that no abundance can have."""
    known = ~np.isnan(values).all(axis=1)
    kinds = {
        "missing in a row that has others": np.isnan(values[known]),
        "infinite": np.isinf(values),
        "negative": values < 0,
    }
    for kind, bad in kinds.items():
        faults.check(not bad.any(), f"{int(bad.sum())} values are {kind}")
    faults.check(bool(known.any()), "nothing is known of any observation")


def _total(values: Matrix) -> Matrix:
    """The sum of each row, shape (n, 1), NaN where it is 0; says how many are."""
    total = np.asarray(values.sum(axis=1, keepdims=True))
    nothing = total == 0
    if nothing.any():
        warnings.warn(
            f"precomputed: {int(nothing.sum())} of {len(values)} rows are all 0; nothing is known of them.",
            TriptychWarning,
            stacklevel=3,
        )
    return np.where(nothing, np.nan, total)
