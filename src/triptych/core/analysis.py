"""What an analysis looks at, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Array, Codes, Counts, Places

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Material:
    """What an analysis may look at; it declares in ``takes`` which of the optional parts it needs.

    Parameters
    ----------
    labels
        Codes of the groups, shape (n,); -1 = in no group.
    names
        Name of each code.
    places
        Where the observations lie.
    counts
        Raw counts of the same observations.
    x
        A space, shape (n, d).
    truth
        Codes of the known labels, shape (n,); -1 = unlabelled.
    truth_names
        Name of each of these codes.
    abundances
        Cell types by role, e.g. ``truth`` and ``guess``; their rows are the observations.
    samples
        Name of each code of ``places.sample``.
    nuclei
        True and found nuclei in some images; then nothing else is given.
    """

    labels: Codes
    names: tuple[str, ...]
    places: Places
    counts: Counts | None = None
    x: Array | None = None
    truth: Codes | None = None
    truth_names: tuple[str, ...] = ()
    abundances: Mapping[str, Abundance] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
    nuclei: Overlaps | None = None


@runtime_checkable
class Analysis(Protocol):
    """Arrays → a tidy table, one row per result."""

    takes: ClassVar[frozenset[str]]  # of "counts", "x", "truth"; or "abundances", or "nuclei": no labels

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame: ...
