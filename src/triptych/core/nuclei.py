"""Nuclei: outlines, labelled tiles, types with their confidence, and what finds nuclei in a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Counts, Indices, Matrix, Pixels, Vector

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN: Final = 255  # in a map of types: a nucleus of which nobody says what it is
Instances = NDArray[np.int32]  # (h, w): 0 = background, else the number of a nucleus


@dataclass(frozen=True, eq=False)
class Outlines:
    """Nuclei of one section as closed rings in full-resolution pixels; pixel i covers [i, i + 1).

    Parameters
    ----------
    px
        Vertices x and y, shape (v, 2), ring after ring; a ring does not repeat its first vertex.
    first
        Where each ring begins in ``px``, and at the end v; shape (m + 1,).
    row
        Row of the section's observations whose nucleus each ring is, shape (m,); -1 = none of them.
    """

    px: NDArray[np.float32]
    first: Indices
    row: Codes


@dataclass(frozen=True, eq=False)
class Tiles:
    """Labelled tiles of one size.

    Parameters
    ----------
    image
        RGB, shape (b, h, w, 3).
    instances
        Shape (b, h, w): 0 = background, else the number of a nucleus, of its own in each tile.
    types
        Shape (b, h, w): 0 = background, 1 + the code of the class, `UNKNOWN` in nuclei of no known class.
    ignore
        Shape (b, h, w): where nothing is known, neither nuclei nor background.
    """

    image: Pixels
    instances: Instances
    types: NDArray[np.uint8]
    ignore: NDArray[np.bool_]


@runtime_checkable
class TileSource(Protocol):
    """Labelled tiles that are read when they are asked for.

    ``about`` has a row for each tile, with the columns sample, donor, organ, x_px, y_px (left and top in
    pixels of the tile's own resolution) and nuclei. ``classes`` are the names of the types.
    """

    classes: tuple[str, ...]
    mpp: float
    tile_px: int
    about: pd.DataFrame

    def __len__(self) -> int: ...

    def take(self, rows: Indices) -> Tiles:
        """Some tiles, in their order."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """Nuclei in a picture.

    Parameters
    ----------
    instances
        Shape (h, w): 0 = background, 1 … n without gaps.
    probabilities
        Of each class for each nucleus, shape (n, c), row i - 1 for the nucleus i; no columns where no types
        are told.
    """

    instances: Instances
    probabilities: NDArray[np.float32]


@runtime_checkable
class SegmenterModel(Protocol):
    """What a segmenter learned.

    ``classes`` are the names of the types; ``mpp`` the resolution that pictures must have; ``halo_px`` how
    far beyond a pixel it looks; ``multiple_px`` of what the sides of a window must be a multiple.
    """

    classes: tuple[str, ...]
    mpp: float
    halo_px: int
    multiple_px: int

    def segment(self, window: Pixels) -> Found:
        """The nuclei of a window, shape (h, w, 3)."""
        ...

    def save(self, folder: Path) -> None: ...


@runtime_checkable
class Segmenter(Protocol):
    """Labelled tiles → a model that finds nuclei; `Fit.value` is None."""

    takes: ClassVar[Literal["tiles"]]

    def fit(self, tiles: TileSource, rng: np.random.Generator) -> Any: ...

    def restore(self, folder: Path) -> Any: ...


@dataclass(frozen=True, eq=False)
class Annotation:
    """A type for each cell, with how sure it is.

    Parameters
    ----------
    probabilities
        Of each class for each cell, shape (n, c), rows add to 1; a row of NaN is a cell of which nothing can
        be said.
    classes
        Their names.
    """

    probabilities: Matrix
    classes: tuple[str, ...]

    def best(self, least: float) -> tuple[Codes, Vector]:
        """Code of the likeliest class and its probability; -1 where that is below ``least``, or unknown."""
        known: NDArray[np.bool_] = np.asarray(np.isfinite(self.probabilities).all(axis=1))
        if not self.classes:
            return np.full(len(known), -1), np.full(len(known), np.nan)
        filled = np.where(known[:, None], self.probabilities, 0.0)
        sure = filled.max(axis=1, initial=0.0)
        code = np.where(known & (sure >= least), filled.argmax(axis=1), -1)
        return code.astype(np.int64), np.where(known, sure, np.nan)


@runtime_checkable
class Annotator(Protocol):
    """Counts of cells → their types.

    ``takes`` says from what: the ``counts`` alone, or a ``table`` that somebody made before: ``given`` is
    then a text or missing value for each cell, shape (n,); else None. ``sample`` are codes of the sections.
    """

    takes: ClassVar[Literal["counts", "table"]]

    def annotate(self, counts: Counts, sample: Codes, given: Any, rng: np.random.Generator) -> Annotation: ...


class Picture(Protocol):
    """A picture that is read region by region, see `triptych.tiles.slide.Slide`."""

    @property
    def shape_px(self) -> tuple[int, int]: ...

    def read(self, x0: int, y0: int, width: int, height: int) -> Pixels: ...


@dataclass(frozen=True, eq=False)
class Registration:
    """By how much the outlines of a section lie beside its picture.

    Parameters
    ----------
    shift_px
        What must be added to the place of each observation, in full-resolution pixels, shape (n, 2).
    regions
        One row for each region: x_px, y_px (its centre), dx_px, dy_px (the shift found there), scale, score
        before and after, nuclei, and used.
    score
        Of the section after the correction.
    refused
        Why its outlines must not be used; empty when they may.
    """

    shift_px: Matrix
    regions: pd.DataFrame
    score: float
    refused: str = ""


@runtime_checkable
class Registrar(Protocol):
    """Outlines and a picture → where the outlines belong. ``mpp`` is µm per full-resolution pixel."""

    def register(
        self, outlines: Outlines, centres_px: Matrix, picture: Picture, mpp: float
    ) -> Registration: ...


@dataclass(frozen=True, eq=False)
class Overlaps:
    """All that scores of nuclei need of true and found nuclei in some images: sizes, places, common pixels.

    Parameters
    ----------
    classes
        Names of the types.
    organs
        Name of the organ of each image, shape (i,).
    samples
        Name of the section of each image, shape (i,).
    seen
        Whether the organ of each image was one of those of the fit, shape (i,).
    truth, guess
        For the true and for the found nuclei: ``image`` (code), ``area`` (pixels), ``type`` (code, -1 =
        unknown), ``x_um`` and ``y_um`` (centroid inside the image); each of shape (t,) or (g,).
    pairs
        For each true nucleus and found one that share pixels: ``truth``, ``guess`` (their rows) and ``area``.
    """

    classes: tuple[str, ...]
    organs: NDArray[np.str_]
    samples: NDArray[np.str_]
    seen: NDArray[np.bool_]
    truth: Mapping[str, NDArray[Any]]
    guess: Mapping[str, NDArray[Any]]
    pairs: Mapping[str, NDArray[Any]]
