"""Transcripts of a HEST section → counts by nucleus, read piece by piece."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Matrix
from triptych.maths.polygons import Rings
from triptych.readers.long_tables import read_pieces
from triptych.readers.molecules import Tally
from triptych.readers.outline_files import RingFile
from triptych.readers.xenium_counts import Of, are_genes, in_cells

PLACES: Final = ("he_x", "he_y", "feature_name", "qv")  # pixels of the picture
OUTSIDE: Final = 0.05  # of the transcripts beside the picture at most


class NucleusTally(Tally):
    """Counts of transcripts by nucleus, and how many of them lie outside the picture.

    Parameters
    ----------
    rings
        Of the nuclei, in pixels of the picture; their cells are the rows.
    size_px
        Width and height of the picture.
    quality
        Smallest quality value (qv) that counts.
    """

    def __init__(self, rings: RingFile, size_px: tuple[int, int], quality: float) -> None:
        super().__init__()
        self.rings, self.size_px, self.quality = rings, size_px, quality
        self.index = Rings.of(rings.outlines)
        self.number = self.good = self.outside = 0

    def read(self, path: Path, of: Of) -> None:
        """Count the transcripts of genes.

        Raises
        ------
        DataError
            When the file is damaged, has not the columns or places that are numbers, or nothing counts.
        """
        needed = (*PLACES, "cell_id") if of == "cell" else PLACES
        for piece in read_pieces(path, needed):
            self.number += len(piece)
            keep = are_genes(piece["feature_name"])
            keep &= pd.to_numeric(piece["qv"], errors="coerce").to_numpy(float) >= self.quality
            piece = piece[keep]
            xy = piece[list(PLACES[:2])].apply(pd.to_numeric, errors="coerce").to_numpy(float)
            if not np.isfinite(xy).all():
                raise DataError(f"some transcripts of {path.name} have no finite coordinates he_x, he_y")
            self.good += len(piece)
            self.outside += int(np.sum(np.any((xy < 0) | (xy > self.size_px), axis=1)))
            self._count(piece, xy, of)
        self._check(path, of)

    def _count(self, piece: pd.DataFrame, xy: Matrix, of: Of) -> None:
        if of == "nucleus":
            ring = self.index.holding(xy)
            inside = ring >= 0
            row = self.rings.outlines.row[ring[inside]]
            cell = pd.Series(pd.Categorical.from_codes(row, self.rings.ids))
        else:
            inside = in_cells(piece["cell_id"])
            cell = piece["cell_id"].astype("category")[inside]
        self.add(cell, piece["feature_name"].astype("category")[inside])

    def _check(self, path: Path, of: Of) -> None:
        if not self.number:
            raise DataError(f"the file {path.name} has no transcripts: the section is empty")
        if not self.good:
            raise DataError(
                f"none of the {self.number} transcripts of {path.name} is of a gene and of a quality (qv) of "
                f"at least {self.quality:g}"
            )
        share = self.outside / self.good
        if share > OUTSIDE:
            width, height = self.size_px
            raise DataError(
                f"{share:.1%} of the {self.good} transcripts of {path.name} lie outside the image of {width} "
                f"× {height} px: he_x and he_y must be pixels of the image at full resolution, and both "
                "files of the same section"
            )
        if not self.cells.isin(self.rings.ids).any():
            raise DataError(f"none of the {self.good} transcripts of {path.name} is {_where(of)}")


class Outside(NamedTuple):
    """How much of a section lies outside its picture, and of how much."""

    sample: str
    transcripts: int
    of_transcripts: int
    nuclei: int
    of_nuclei: int


def tell_outside(outside: list[Outside]) -> None:
    """Warn once, of all sections."""
    told = [found for found in outside if found.transcripts or found.nuclei]
    if told:
        worst = max(told, key=lambda found: found.transcripts / found.of_transcripts)
        transcripts, of_transcripts, nuclei, of_nuclei = (
            sum(column) for column in zip(*(found[1:] for found in told), strict=True)
        )
        warnings.warn(
            f"Of {len(told)} sections {transcripts} of {of_transcripts} transcripts lie outside the image "
            f"(most of {worst.sample}, {worst.transcripts / worst.of_transcripts:.2%}), and {nuclei} of "
            f"{of_nuclei} nuclei, which are left out.",
            TriptychWarning,
            stacklevel=3,
        )


def _where(of: Of) -> str:
    if of == "nucleus":
        return "inside an outline of a nucleus; are both in pixels of the same image?"
    return "of a cell with a nucleus; are the ids of both files of one kind?"
