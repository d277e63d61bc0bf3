"""Molecules kept once, eight bytes each, and found crop by crop without a loop over crops.

What a crop needs of a molecule is packed into one integer, place first and gene last. Sorted, such integers
hold the molecules of a crop in few runs, whose ends a binary search finds for a whole batch at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Indices, Molecules

Integers = NDArray[np.int64]
PIECE: Final = 2**20  # molecules that are packed at once
BANDS: Final = (
    4  # bands per side of a crop: more of them mean fewer molecules read in vain, and more searches
)
LIMIT: Final = 2**62  # of a packed molecule


@dataclass(frozen=True, eq=False)
class Spots:
    """Molecules of a batch of crops; those outside a crop are not there.

    Parameters
    ----------
    crop
        Which crop of the batch each lies in, shape (m,), ascending.
    gene
        Code of its gene, shape (m,).
    y, x
        Row and column of its pixel in the crop, shape (m,), 0 … side - 1.
    """

    crop: Integers
    gene: Integers
    y: Integers
    x: Integers


@dataclass(frozen=True, eq=False)
class Frames:
    """The pixels that each crop covers.

    Parameters
    ----------
    corner_px
        First column and row of each, shape (n, 2).
    sample
        Code of its section, shape (n,).
    side_px
        Columns and rows of every crop.
    """

    corner_px: Integers
    sample: Codes
    side_px: int


class Found(NamedTuple):
    """Molecules of a batch of crops, and where they are kept."""

    at: Integers
    spots: Spots


class _Piece(NamedTuple):
    section: int
    px: NDArray[np.float32]
    gene: Integers
    cell: Codes


def _pieces(molecules: tuple[Molecules, ...], code: Integers) -> Iterator[_Piece]:
    """Some molecules of one section at a time, with the new codes of their genes; the others are left out."""
    for section, one in enumerate(molecules):
        for start in range(0, len(one.gene), PIECE):
            part = slice(start, start + PIECE)
            gene = code[one.gene[part]]
            kept = slice(None) if (gene >= 0).all() else np.flatnonzero(gene >= 0)
            yield _Piece(section, one.px[part][kept], gene[kept], one.cell[part][kept])


def _whole(px: NDArray[np.float32], low: Integers, high: Integers) -> tuple[Integers, Integers, Integers]:
    """Which places lie from ``low`` to before ``high``, and their whole columns and rows.

    Axis by axis: numpy is slow over an axis of two. A place that is no number lies nowhere.
    """
    x, y = px.T
    inside = np.flatnonzero((x >= low[0]) & (x < high[0]) & (y >= low[1]) & (y < high[1]))
    return inside, np.floor(x[inside]).astype(np.int64), np.floor(y[inside]).astype(np.int64)


def _sorted(parts: Iterator[Integers], most: int) -> Integers:
    packed, filled = np.empty(most, np.int64), 0  # what is never written to takes no memory
    for part in parts:
        packed[filled : filled + len(part)] = part
        filled += len(part)
    packed = packed[:filled]
    packed.sort()
    return packed


def _runs(start: Integers, stop: Integers) -> tuple[Integers, Integers]:
    """Number of the run, and place, of every entry of the runs start … stop - 1."""
    length = np.maximum(stop - start, 0)
    run = np.repeat(np.arange(len(length)), length)
    shift = start - (np.cumsum(length) - length)
    return run, np.arange(len(run)) + shift[run]


def _check_limit(largest: int) -> None:
    if largest >= LIMIT:
        raise DataError(
            "The crops lie too far apart for their number and that of the genes.",
            "Are the centres in pixels of the stains, and of their own section?",
        )


@dataclass(frozen=True, eq=False)
class Banded:
    """Every molecule, sorted by section, by band of rows of pixels, and in the band by column.

    Parameters
    ----------
    packed
        ((band · width + x) · height + y) · genes + gene, sorted, shape (m,); x counts from the least corner
        of the section's crops, y from the first row of the band.
    frames
        What each crop covers.
    low_px
        Least corner of the crops of each section, shape (sections, 2).
    first
        Number of the first band of each section, shape (sections,).
    width, height
        Columns and rows of a band.
    genes
        How many there are.
    """

    packed: Integers
    frames: Frames
    low_px: Integers
    first: Integers
    width: int
    height: int
    genes: int

    @classmethod
    def of(cls, molecules: tuple[Molecules, ...], code: Integers, genes: int, frames: Frames) -> Banded:
        """Pack molecules; those that lie beyond all crops of their section are left out.

        Parameters
        ----------
        molecules
            Of each section.
        code
            New code of each gene's, shape (g,); -1 leaves it out.
        genes
            Number of new codes.
        frames
            What each crop covers.

        Raises
        ------
        DataError
            When the crops lie too far apart.
        """
        side, height = frames.side_px, max(1, frames.side_px // BANDS)
        low = np.full((len(molecules), 2), np.iinfo(np.int64).max)
        high = np.full((len(molecules), 2), np.iinfo(np.int64).min)
        np.minimum.at(low, frames.sample, frames.corner_px)
        np.maximum.at(high, frames.sample, frames.corner_px + side)
        low, high = np.where(low > high, 0, low), np.where(low > high, 0, high)  # sections without cells
        bands = -(-(high - low)[:, 1] // height)
        first, width = np.cumsum(bands) - bands, int((high - low)[:, 0].max(initial=1))
        _check_limit((int(bands.sum()) + 2 * BANDS + 2) * width * height * genes)

        def parts() -> Iterator[Integers]:
            for section, px, gene, _ in _pieces(molecules, code):
                inside, x, y = _whole(px, low[section], high[section])
                band, y = np.divmod(y - low[section, 1], height)
                place = (first[section] + band) * width + x - low[section, 0]
                yield (place * height + y) * genes + gene[inside]

        packed = _sorted(parts(), sum(len(one.gene) for one in molecules))
        return cls(packed, frames, low, first, width, height, genes)

    def found(self, rows: Indices) -> Found:
        """Molecules of a batch of crops, each once for every crop that holds it."""
        side, sample = self.frames.side_px, self.frames.sample[rows]
        column, row = (self.frames.corner_px[rows] - self.low_px[sample]).T
        band = np.arange((side + self.height - 2) // self.height + 1) + (row // self.height)[:, None]
        touched = band <= ((row + side - 1) // self.height)[:, None]
        crop, _ = np.nonzero(touched)
        top = ((band * self.height) - row[:, None])[touched]  # where in the crop the band begins
        start = (band + self.first[sample][:, None])[touched] * self.width + column[crop]
        unit = self.height * self.genes
        run, at = _runs(*(np.searchsorted(self.packed, key * unit) for key in (start, start + side)))
        place, rest = np.divmod(self.packed[at], unit)
        y, gene = np.divmod(rest, self.genes)
        y, x = y + top[run], place - start[run]
        inside = (y >= 0) & (y < side)
        return Found(at[inside], Spots(crop[run][inside], gene[inside], y[inside], x[inside]))


@dataclass(frozen=True, eq=False)
class Owned:
    """The molecules that were assigned to a cell and lie in its crop, sorted by cell.

    Parameters
    ----------
    packed
        ((cell · side + y) · side + x) · genes + gene, sorted, shape (m,).
    frames
        What each crop covers.
    genes
        How many there are.
    """

    packed: Integers
    frames: Frames
    genes: int

    @classmethod
    def of(cls, molecules: tuple[Molecules, ...], code: Integers, genes: int, frames: Frames) -> Owned:
        """Pack molecules, with the parameters and errors of `Banded.of`."""
        side = frames.side_px
        _check_limit((len(frames.corner_px) + 1) * side**2 * genes)

        def parts() -> Iterator[Integers]:
            for piece in _pieces(molecules, code):
                inside, x, y = _in_own(piece, frames)
                cell = piece.cell[inside].astype(np.int64)
                yield ((cell * side + y) * side + x) * genes + piece.gene[inside]

        return cls(_sorted(parts(), sum(len(one.gene) for one in molecules)), frames, genes)

    def found(self, rows: Indices) -> Found:
        """Molecules of a batch of crops, each once for every crop that holds it."""
        side, start = self.frames.side_px, np.asarray(rows, np.int64)
        unit = side**2 * self.genes
        crop, at = _runs(*(np.searchsorted(self.packed, key * unit) for key in (start, start + 1)))
        place, gene = np.divmod(self.packed[at], self.genes)
        y, x = np.divmod(place % side**2, side)
        return Found(at, Spots(crop, gene, y, x))


def _in_own(piece: _Piece, frames: Frames) -> tuple[Integers, Integers, Integers]:
    """Which molecules lie in the crop of the cell that they were assigned to, and their columns and rows."""
    own = np.flatnonzero(piece.cell >= 0)
    corner = frames.corner_px[piece.cell[own]]
    inside, x, y = _whole(piece.px[own], corner.T, corner.T + frames.side_px)
    return own[inside], x - corner[inside, 0], y - corner[inside, 1]


Index: TypeAlias = Banded | Owned


def distinct(index: Index, rows: Indices, batch: int = 256) -> int:
    """How many molecules lie in one of these crops or in several."""
    seen = np.zeros(len(index.packed), np.bool_)
    for start in range(0, len(rows), batch):
        seen[index.found(rows[start : start + batch]).at] = True
    return int(np.count_nonzero(seen))


def tallied(
    molecules: tuple[Molecules, ...], code: Integers, frames: Frames, rows: Indices
) -> tuple[int, int, int]:
    """Numbers of molecules.

    Parameters
    ----------
    molecules, code, frames
        As of `Banded.of`.
    rows
        Crops that are looked at.

    Returns
    -------
    How many lie in the sections of these crops, how many were assigned to their cells, and how many of the
    latter lie in the crop of their own cell.
    """
    wanted, here = np.zeros(len(frames.corner_px), np.bool_), np.zeros(len(molecules), np.bool_)
    wanted[rows], here[frames.sample[rows]] = True, True
    total = own = inside = 0
    for piece in _pieces(molecules, code):
        if here[piece.section]:
            total += len(piece.gene)
            own += int(np.count_nonzero(wanted[piece.cell[piece.cell >= 0]]))
            inside += int(np.count_nonzero(wanted[piece.cell[_in_own(piece, frames)[0]]]))
    return total, own, inside
