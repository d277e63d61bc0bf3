"""What a component of each room takes and gives: arrays in, arrays out.

A component is a frozen dataclass whose fields are its parameters. Beside them it declares
class variables: ``revision`` (rises when its numbers change), ``random`` (whether it draws
random numbers, so that its identity includes the seed) and ``cite``; and ``extra``, a module and the
extra that installs it, where it needs a package that the base install lacks.

A component that learns from its input also has ``fit``, which takes what its verb takes and returns
`triptych.core.models.Fit`: the value, equal to the verb's own result, and the model. The model's ``apply``
takes the verb's arguments without ``rng``, of observations never seen, and ``save`` writes a folder that
the component's ``restore`` reads. Batch and sample codes given to ``apply`` count from 0 among the new
observations and name no batch of the fit. An encoder or refiner without ``fit`` treats each section by
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]  # (n, d)
Vector = NDArray[np.floating[Any]]  # (n,)
Codes = NDArray[np.integer[Any]]  # (n,) integer labels; -1 = missing
Indices = NDArray[np.integer[Any]]
Pixels = NDArray[np.uint8]  # (h, w, 3) or (b, h, w, 3), RGB
Array: TypeAlias = Matrix | sp.csr_matrix  # dense or sparse rows
WindowEncoder = Callable[[Pixels], Matrix]  # (b, h, w, 3) → (b, d)


@dataclass(frozen=True, eq=False)
class Places:
    """Where the observations lie.

    Parameters
    ----------
    um
        x and y in micrometres, shape (n, 2). NaN where the study has no physical scale is not allowed;
        a study without a scale passes its own units and says so.
    sample
        Code of the section of each observation, shape (n,). Sections never neighbour each other.
    grid
        Array position (column, row) of spots on a regular array, shape (n, 2); None for cells.
    lattice
        ``square``, ``hex`` (Visium: every other array column is used in a row) or empty.
    """

    um: Matrix
    sample: Codes
    grid: Indices | None = None
    lattice: Literal["square", "hex", ""] = ""


@dataclass(frozen=True, eq=False)
class Counts:
    """Raw counts with what their encoders may need to know.

    Parameters
    ----------
    matrix
        Raw integer counts, CSR, shape (n, g).
    genes
        Gene names, shape (g,).
    batch
        Code of the batch of each observation, shape (n,).
    truth
        Code of the known label of each observation, shape (n,), -1 = unlabelled; None unless an encoder asks
        for labels.
    """

    matrix: sp.csr_matrix
    genes: NDArray[np.str_]
    batch: Codes
    truth: Codes | None = None


@dataclass(frozen=True, eq=False)
class Molecules:
    """Single transcripts of one section.

    Parameters
    ----------
    px
        x and y in pixels of the section's stains, shape (m, 2); the pixel i covers [i, i + 1).
    gene
        Code of the gene of each, shape (m,), never missing.
    cell
        Row of the observation that each was assigned to, shape (m,); -1 = none.
    """

    px: NDArray[np.float32]
    gene: Codes
    cell: Codes


@dataclass(frozen=True, eq=False)
class Crops:
    """What surrounds each cell, section by section and not yet cropped.

    Parameters
    ----------
    centres_px
        x and y of each cell in pixels of its section's stains, shape (n, 2); the pixel i covers [i, i + 1).
    sample
        Code of the section of each cell, shape (n,).
    mpp
        Micrometres per pixel of the stains of each section; NaN where unknown.
    stains
        Names of the channels.
    pixels
        Section → channel → grey values, shape (h, w), often memory-mapped; no channels where no stains are
        wanted.
    genes
        Gene names, shape (g,).
    molecules
        Of each section; empty where none are wanted.
    """

    centres_px: Matrix
    sample: Codes
    mpp: tuple[float, ...]
    stains: tuple[str, ...] = ()
    pixels: tuple[tuple[NDArray[Any], ...], ...] = ()
    genes: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, np.str_))
    molecules: tuple[Molecules, ...] = ()


class Component(Protocol):
    """What every component declares."""

    revision: ClassVar[int]
    random: ClassVar[bool]
    cite: ClassVar[str]


@runtime_checkable
class GeneEncoder(Protocol):
    """Counts → (n, d), dense or CSR.

    One that ``takes`` ``labelled-counts`` is given the known labels in ``Counts.truth`` when it is fitted;
    its model's ``apply`` must not need them.
    """

    takes: ClassVar[Literal["counts", "labelled-counts"]]

    def encode(self, counts: Counts, rng: np.random.Generator) -> Array: ...


@runtime_checkable
class PlaceEncoder(Protocol):
    """Places → (n, d)."""

    takes: ClassVar[Literal["places"]]

    def encode(self, places: Places, rng: np.random.Generator) -> Matrix: ...


@runtime_checkable
class ImageEncoder(Protocol):
    """Windows of pixels → (n, d), batch by batch; the caller crops, resizes and streams.

    ``window_um`` is the side of the tissue seen, ``tile_px`` the side of the array received. An encoder may
    also have ``window_px``, the side in pixels of the image itself; above 0 it goes before ``window_um``.
    """

    takes: ClassVar[Literal["windows"]]

    @property
    def window_um(self) -> float: ...

    @property
    def tile_px(self) -> int: ...

    def load(self, device: str) -> WindowEncoder: ...


@runtime_checkable
class CropEncoder(Protocol):
    """What surrounds each cell → (n, d).

    ``sees`` says what it looks at: ``stains``, ``molecules`` or both. ``stains`` names the channels; none
    named are all that the data have. One that declares ``may_miss: ClassVar[bool] = True`` may give NaN.
    """

    takes: ClassVar[Literal["crops"]]
    sees: ClassVar[frozenset[str]]

    def encode(self, crops: Crops, rng: np.random.Generator) -> Matrix: ...


@runtime_checkable
class Aligner(Protocol):
    """(n, d) and batch codes (n,) → (n, d)."""

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix: ...


@runtime_checkable
class Fuser(Protocol):
    """Views by role, each (n, d), and their places → one (n, d).

    A fuser whose model has an encoder that a clusterer may start from declares
    ``encodes: ClassVar[bool] = True``.
    """

    def fuse(self, views: Mapping[str, Array], places: Places, rng: np.random.Generator) -> Matrix: ...


@runtime_checkable
class Clusterer(Protocol):
    """(n, d) → cluster codes (n,), 0 … k-1.

    A clusterer that learns a space of its own declares ``learns_space: ClassVar[bool] = True``: its ``fit``
    takes a keyword ``encoder``, the model of the fuser from whose encoder it starts (None: it trains one
    itself), and its model has ``embed``, (n, d) → (n, latent). One that clusters several
    views at once declares ``takes_views: ClassVar[bool] = True``: in place of ``x`` it takes views by role,
    each (n, d), and its ``fit`` a keyword ``tuned``, role → the model of a clusterer whose settings that view
    inherits. A model that chose settings from the data tells them in ``chosen``, name → number.
    """

    def cluster(self, x: Matrix, rng: np.random.Generator) -> Codes: ...


@runtime_checkable
class Fits(Protocol):
    """A component whose result on new observations follows from what it learned."""

    def fit(self, *given: Any) -> Any: ...

    def restore(self, folder: Path) -> Any: ...


@runtime_checkable
class Refiner(Protocol):
    """Cluster codes (n,) and places → cluster codes (n,)."""

    def refine(self, labels: Codes, places: Places) -> Codes: ...


@runtime_checkable
class Normaliser(Protocol):
    """Pixels of a section → pixels with the colours of a fixed reference.

    ``sample`` are windows drawn from the whole section, from which its own colours are estimated once.
    """

    def section(self, sample: Pixels) -> Callable[[Pixels], Pixels]: ...


@runtime_checkable
class Metric(Protocol):
    """Truth or space, and a guess → one float.

    ``against`` says what the first argument is: ``truth`` (codes of shape (n,), none missing), ``space`` (a
    matrix of shape (n, d)), ``abundance`` (that is known, shape (n, t); the guess has the same shape and
    types, neither misses a row), ``interval`` (the same; the guess has shape (2, n, t), low and high) or
    ``nuclei`` (the images that count, as `Indices`; the guess is a `triptych.core.nuclei.Overlaps`).
    """

    against: ClassVar[Literal["truth", "space", "abundance", "interval", "nuclei"]]
    greater_is_better: ClassVar[bool]

    def score(self, truth: Any, guess: Any) -> float: ...
