"""Crops around cells, cut batch by batch: molecules as coordinates, stains as windows of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.protocols import Codes, Crops, Indices, Molecules
from triptych.maths.spots import (
    Banded,
    Frames,
    Index,
    Integers,
    Owned,
    Spots,
    distinct,
    tallied,
)

__all__ = ["Counting", "Cropper", "Spots"]
FARTHEST_PX: Final = 2**24  # beyond it, float32 no longer tells neighbouring pixels apart
PIECE: Final = 2**20  # molecules that are looked at at once
NONE: Final = Molecules(np.empty((0, 2), np.float32), np.empty(0, np.int32), np.empty(0, np.int32))


@dataclass(frozen=True)
class Counting:
    """What crops leave out, in numbers for a note.

    Parameters
    ----------
    crops
        How many were looked at.
    beyond_image
        Crops that reach beyond the stains of their section; 0 when there are no stains.
    molecules
        Molecules of the genes in use, in the sections of these crops.
    in_no_crop
        Those of them that no crop shows.
    assigned
        Those that were assigned to the cells of these crops.
    cut_off
        Those assigned that lie outside the crop of their own cell.
    """

    crops: int
    beyond_image: int
    molecules: int
    in_no_crop: int
    assigned: int
    cut_off: int


def asked_for(stains: Sequence[str], held: Sequence[str]) -> tuple[str, ...]:
    """The channels that somebody asks for: those named, or all that there are but those named with a dash.

    Parameters
    ----------
    stains
        E.g. ``("DAPI",)``; ``("-DAPI",)`` for all others; none for all.
    held
        What there is.
    """
    hidden = {stain.removeprefix("-") for stain in stains if stain.startswith("-")}
    named = tuple(stain for stain in stains if not stain.startswith("-"))
    return named or tuple(stain for stain in held if stain not in hidden)


class Cropper:
    """Crops of one side around every cell.

    A crop of side S around (x, y) begins at pixel ⌊x - S/2 + 1/2⌋ of a row, ⌊y - S/2 + 1/2⌋ of a column, so
    that it is centred to half a pixel. Molecules are kept once, eight bytes each, however many crops show
    them.

    Parameters
    ----------
    crops
        n cells with their sections' stains and molecules.
    side_px
        S, in pixels of the stains.
    molecules
        ``all`` that lie in the crop, or the cell's ``own``: those assigned to it.
    genes
        Names that the codes of genes refer to; None for those of ``crops``. Molecules of others are left out.
    stains
        Channels, in this order, as of `asked_for`.

    Attributes
    ----------
    n
        Number of cells.
    side_px, genes, stains
        As given, or what stands for it.

    Raises
    ------
    DataError
        When centres, codes, names or sizes cannot be used; all faults together.
    """

    def __init__(
        self,
        crops: Crops,
        side_px: int,
        *,
        molecules: Literal["all", "own"] = "all",
        genes: NDArray[np.str_] | None = None,
        stains: tuple[str, ...] = (),
    ) -> None:
        self.n, self.side_px = len(crops.centres_px), int(side_px)
        self.genes: NDArray[np.str_] = crops.genes if genes is None else np.asarray(genes, np.str_)
        self.stains = asked_for(stains, crops.stains)
        _check(crops, self.side_px, self.genes, self.stains)
        corner = np.floor(np.asarray(crops.centres_px, np.float64) - self.side_px / 2 + 0.5)
        self._frames = Frames(corner.astype(np.int64), crops.sample, self.side_px)
        self._code = _codes(crops.genes, self.genes)
        self._molecules = crops.molecules or (NONE,) * len(crops.mpp)
        kind = Banded if molecules == "all" else Owned
        self._index: Index = kind.of(self._molecules, self._code, max(1, len(self.genes)), self._frames)
        channels = [crops.stains.index(name) for name in self.stains]
        # memory maps are sliced as plain arrays, which costs a tenth
        self._planes = [[np.asarray(section[k]) for k in channels] for section in crops.pixels]

    def spots(self, rows: Indices) -> Spots:
        """Molecules of a batch of crops.

        Parameters
        ----------
        rows
            Of the cells, shape (b,), in any order.
        """
        return self._index.found(rows).spots

    def pixels(self, rows: Indices) -> NDArray[np.float32]:
        """Raw grey values of a batch of crops, 0 beyond the image.

        Parameters
        ----------
        rows
            Of the cells, shape (b,), in any order.

        Returns
        -------
        Array of shape (b, stains, side, side).
        """
        side = self.side_px
        out = np.zeros((len(rows), len(self.stains), side, side), np.float32)
        corners, sections = self._frames.corner_px[rows].tolist(), self._frames.sample[rows].tolist()
        for window, (x, y), section in zip(out, corners, sections, strict=True):
            for channel, plane in enumerate(self._planes[section] if self.stains else ()):
                height, width = plane.shape
                top, bottom = max(y, 0), min(y + side, height)
                left, right = max(x, 0), min(x + side, width)
                if top < bottom and left < right:
                    seen = window[channel, top - y : bottom - y, left - x : right - x]
                    seen[...] = plane[top:bottom, left:right]
        return out

    def counted(self, rows: Indices | None = None) -> Counting:
        """What the crops leave out; this takes a pass over all molecules.

        Parameters
        ----------
        rows
            Of the cells, shape (b,); None for all.
        """
        rows = np.arange(self.n) if rows is None else np.asarray(rows)
        total, own, inside = tallied(self._molecules, self._code, self._frames, rows)
        return Counting(
            crops=len(rows),
            beyond_image=self._beyond(rows),
            molecules=total,
            in_no_crop=total - distinct(self._index, rows),
            assigned=own,
            cut_off=own - inside,
        )

    def _beyond(self, rows: Indices) -> int:
        if not self.stains:
            return 0
        size = np.array([planes[0].shape[::-1] for planes in self._planes], np.int64)
        corner = self._frames.corner_px[rows]
        beyond = (corner < 0) | (corner + self.side_px > size[self._frames.sample[rows]])
        return int(np.count_nonzero(beyond.any(axis=1)))


def _codes(old: NDArray[np.str_], new: NDArray[np.str_]) -> Integers:
    """New code of every old gene; -1 for those that are not wanted."""
    place = {str(name): code for code, name in enumerate(new)}
    return np.array([place.get(str(name), -1) for name in old], np.int64)


def _check(crops: Crops, side_px: int, genes: NDArray[np.str_], stains: tuple[str, ...]) -> None:
    faults, sections = Faults("crops"), len(crops.mpp)
    faults.check(side_px >= 1, f"the side of a crop is {side_px} px; it must be at least 1.")
    of_sections = _check_cells(faults, crops, sections)
    _unique(faults, "genes", crops.genes)
    if genes is not crops.genes:
        _unique(faults, "genes wanted", genes)
    if faults.check(
        len(crops.molecules) in (0, sections),
        f"there are molecules of {len(crops.molecules)} sections, of {sections}.",
    ):
        _check_molecules(faults, crops, crops.sample if of_sections else None)
    _check_stains(faults, crops, stains)
    faults.raise_if_any()


def _check_cells(faults: Faults, crops: Crops, sections: int) -> bool:
    """Note centres that are no places; whether every cell is of a section."""
    centres, sample = np.asarray(crops.centres_px), np.asarray(crops.sample)
    if not faults.check(
        centres.ndim == 2 and centres.shape[1] == 2 and sample.shape == centres.shape[:1],
        f"centres are of shape {centres.shape} and codes of sections of shape {sample.shape}; "
        "they must be (n, 2) and (n,).",
    ):
        return False
    lost = np.count_nonzero(~np.isfinite(centres).all(axis=1))
    faults.check(not lost, f"{lost} of {len(centres)} centres are not finite.")
    far = np.count_nonzero((np.abs(centres) > FARTHEST_PX).any(axis=1) & np.isfinite(centres).all(axis=1))
    faults.check(
        not far, f"{far} of {len(centres)} centres lie beyond {FARTHEST_PX} px, where pixels cannot be told."
    )
    wrong = np.count_nonzero((sample < 0) | (sample >= sections))
    return faults.check(not wrong, f"{wrong} of {len(centres)} cells are of none of the {sections} sections.")


def _check_molecules(faults: Faults, crops: Crops, sample: Codes | None) -> None:
    """Note codes that point to no gene, or to no cell of their own section."""
    genes = len(crops.genes)
    for section, one in enumerate(crops.molecules):
        m, where = len(one.gene), f"the molecules of section {section}"
        if not faults.check(
            one.px.shape == (m, 2) and one.cell.shape == (m,),
            f"{where} have {m} genes, places of shape {one.px.shape} and cells of shape {one.cell.shape}.",
        ):
            continue
        low, high = int(one.gene.min(initial=0)), int(one.gene.max(initial=0))
        known = not m or (low >= 0 and high < genes)
        faults.check(known, f"{where} have genes {low} … {high}, of {genes}.")
        if sample is not None:
            faults.check(
                _own(one.cell, section, sample), f"{where} have cells of another section, or of none."
            )


def _own(cell: Codes, section: int, sample: Codes) -> bool:
    """Whether molecules name cells of a section only, or none."""
    if len(cell) and (int(cell.min()) < -1 or int(cell.max()) >= len(sample)):
        return False
    here = np.append(sample == section, True)  # the last is that of -1, no cell
    return all(here[cell[start : start + PIECE]].all() for start in range(0, len(cell), PIECE))


def _unique(faults: Faults, what: str, names: Iterable[str]) -> None:
    seen, double = set[str](), dict[str, None]()
    for name in map(str, names):
        if name in seen:
            double[name] = None
        seen.add(name)
    faults.check(not double, f"some {what} are named twice: {listing(double)}.")


def _check_stains(faults: Faults, crops: Crops, stains: tuple[str, ...]) -> None:
    _unique(faults, "stains", crops.stains)
    absent = [name for name in stains if name not in crops.stains]
    faults.check(not absent, f"there is no stain {listing(absent)}; there is {listing(crops.stains)}.")
    if not stains:
        return
    faults.check(
        len(crops.pixels) == len(crops.mpp),
        f"there are stains of {len(crops.pixels)} sections, of {len(crops.mpp)}.",
    )
    for section, planes in enumerate(crops.pixels):
        faults.check(
            len(planes) == len(crops.stains),
            f"section {section} has {len(planes)} channels for {len(crops.stains)} stains.",
        )
        _check_planes(faults, section, planes)


def _check_planes(faults: Faults, section: int, planes: tuple[NDArray[Any], ...]) -> None:
    shapes = dict.fromkeys(plane.shape for plane in planes)
    kinds = dict.fromkeys(str(plane.dtype) for plane in planes if plane.dtype.kind not in "uif")
    faults.check(
        not kinds, f"the stains of section {section} are of {listing(kinds)}; grey values are numbers."
    )
    faults.check(
        len(shapes) < 2 and all(len(shape) == 2 and 0 not in shape for shape in shapes),
        f"the stains of section {section} are of shape {listing(map(str, shapes))}; one (h, w) is wanted.",
    )
