"""Types that somebody told before, as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from triptych.core.checks import Faults, listing, nearest
from triptych.core.nuclei import Annotation
from triptych.core.protocols import Codes, Counts


@dataclass(frozen=True)
class Precomputed:
    """A column of types, each told with the same confidence.

    Parameters
    ----------
    confidence
        Chance that a type is right; the rest is shared by the other types, where there are any.
    rename
        Type in the column → class, so that many types may become one; empty keeps their names. A type that
        is not in it is unknown: the cell gets no class.
    """

    confidence: float = 1.0
    rename: dict[str, str] = field(default_factory=dict)

    takes: ClassVar[Literal["counts", "table"]] = "table"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not 0 < self.confidence <= 1:
            raise ValueError("confidence must lie above 0 and at most at 1")
        if not all(self.rename.values()):
            raise ValueError("rename must give each type a name")

    def annotate(self, counts: Counts, sample: Codes, given: Any, rng: np.random.Generator) -> Annotation:
        """Hand the types on.

        Parameters
        ----------
        counts
            Of the same n cells; only their number is looked at.
        sample, rng
            Not used.
        given
            Text, or missing where nothing is known (None, NaN or empty), shape (n,).

        Returns
        -------
        Classes in alphabetical order; NaN for a cell of unknown type.

        Raises
        ------
        DataError
            When the types are not as many as the cells, all are missing, ``rename`` names one that does not
            exist, or ``confidence`` is less than an even chance; all faults together.
        """
        faults, n = Faults("precomputed"), counts.matrix.shape[0]
        column = pd.Series(np.empty(0, object) if given is None else np.asarray(given, object))
        known = column.notna() & (column.astype(str).str.strip() != "")
        types = column[known].astype(str)
        faults.check(len(column) == n, f"{len(column)} types were given of {n} cells")
        faults.check(not len(column) or bool(known.any()), "the type of every cell is missing")
        there = sorted(set(types))
        if there:
            for name in (name for name in self.rename if name not in there):
                faults.add(f"there is no type {name} to rename. {nearest(name, there)}")
        types = types.map(self.rename).dropna() if self.rename else types
        classes = tuple(sorted(set(types)))
        faults.check(
            len(classes) < 2 or self.confidence * len(classes) >= 1,
            f"a confidence of {self.confidence} is less than an even chance of {listing(classes)}",
        )
        faults.raise_if_any(hint="Check the column of types and the parameters.")
        probabilities = np.full((n, len(classes)), np.nan)
        others = (1 - self.confidence) / (len(classes) - 1) if len(classes) > 1 else 0.0
        rows = types.index.to_numpy()
        probabilities[rows] = others
        probabilities[rows, np.searchsorted(classes, types.to_numpy(str))] = (
            self.confidence if len(classes) > 1 else 1.0
        )
        return Annotation(probabilities, classes)
