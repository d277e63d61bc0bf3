"""Cell types of observations: abundances, references, and what deconvolvers and predictors take and give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Counts, Indices, Matrix, Pixels, Places


@dataclass(frozen=True, eq=False)
class Abundance:
    """How much of each cell type lies in each observation: an estimate, never a measurement.

    Parameters
    ----------
    values
        Shape (n, t), not negative; a row of NaN is an observation of which nothing is known.
    types
        Names of the cell types, t of them.
    low, high
        Ends of the interval of each value, shape (n, t); None where nothing is said of the error.
    """

    values: Matrix
    types: tuple[str, ...]
    low: Matrix | None = None
    high: Matrix | None = None


@dataclass(frozen=True, eq=False)
class Reference:
    """Annotated single cells.

    Parameters
    ----------
    matrix
        Raw integer counts, CSR, shape (n, g).
    genes
        Gene names, shape (g,).
    types
        Code of the type of each cell, shape (n,), never missing.
    names
        Name of each code.
    batch
        Code of the batch of each cell, shape (n,).
    """

    matrix: sp.csr_matrix
    genes: NDArray[np.str_]
    types: Codes
    names: tuple[str, ...]
    batch: Codes


@runtime_checkable
class WindowSource(Protocol):
    """Windows of pixels around the observations, cut when they are asked for."""

    def __len__(self) -> int: ...

    def take(self, rows: Indices) -> Pixels:
        """Windows of some rows, in their order: shape (b, px, px, 3)."""
        ...


@runtime_checkable
class Deconvolver(Protocol):
    """Counts of mixtures → cell types.

    ``takes`` says from what: a ``reference`` of single cells, or a ``table`` that somebody computed before,
    an `Abundance` with a row for each observation. ``gives`` says in a few words what the numbers are, as the
    report does beside each of them.
    """

    takes: ClassVar[Literal["reference", "table"]]

    @property
    def gives(self) -> str: ...

    def deconvolve(self, counts: Counts, given: Any, rng: np.random.Generator) -> Abundance: ...


@runtime_checkable
class Predictor(Protocol):
    """Views by role and places → abundance with its interval.

    ``fit`` gives the `Fit` of what was learned; its ``value`` is what the model says of the rows of the fit,
    and so no measure of its error. Rows of the target that are NaN are not learned from. ``groups`` are codes
    of what is held out as a whole inside the fit, where settings are chosen, training is stopped and
    intervals are measured. The model's ``apply`` takes views and places of other observations. One that
    ``takes`` ``windows`` is given a `WindowSource` as its only view, called ``windows``, and has
    ``window_um``, ``window_px`` and ``tile_px`` as an `ImageEncoder` has. ``level`` is the share of values
    that the interval should hold.
    """

    takes: ClassVar[Literal["views", "windows"]]
    level: float

    def fit(
        self,
        views: Mapping[str, Any],
        target: Abundance,
        places: Places,
        groups: Codes,
        rng: np.random.Generator,
    ) -> Any: ...

    def restore(self, folder: Path) -> Any: ...
