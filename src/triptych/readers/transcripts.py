"""Single molecules of a section: where each lies, of which gene it is, and in which cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.protocols import Matrix
from triptych.readers.cosmx_counts import IDS, cell_ids
from triptych.readers.long_tables import columns_of, read_pieces
from triptych.readers.molecules import grown
from triptych.readers.xenium_counts import NO_CELL, QUALITY


@dataclass(frozen=True)
class Layout:
    """What the columns of a table of molecules are called.

    Parameters
    ----------
    x, y, gene
        Of the place and the gene.
    cell
        Of the id of the cell, where there is one; two columns are the field of view and the cell in it.
    quality
        Of the Phred-scaled quality, where there is one.
    in_px
        Whether places are full-resolution pixels, not µm.
    """

    x: str
    y: str
    gene: str
    cell: tuple[str, ...] = ()
    quality: str = ""
    in_px: bool = False


LAYOUTS: Final = (  # the first whose columns are there
    Layout("he_x", "he_y", "feature_name", ("cell_id",), "qv", in_px=True),  # HEST, beside Xenium's own
    Layout("x_location", "y_location", "feature_name", ("cell_id",), "qv"),  # Xenium
    Layout("global_x", "global_y", "gene", ("cell_id",)),  # MERSCOPE
    Layout("x_global_px", "y_global_px", "target", IDS, in_px=True),  # CosMx
    *(Layout("x", "y", gene, (cell,)) for gene in ("gene", "feature_name") for cell in ("cell", "cell_id")),
    *(Layout("x", "y", gene) for gene in ("gene", "feature_name")),
)


@dataclass(frozen=True, eq=False)
class Transcripts:
    """Molecules of known genes.

    Parameters
    ----------
    um
        x and y in the frame of obsm:spatial_um (of obsm:spatial where no scale is known), shape (m, 2).
    gene
        Place of the gene of each among the genes asked for, shape (m,).
    cell
        Id of the cell of each as the file has it, missing outside of cells, shape (m,); None where the file
        does not tell.
    others, poor
        How many were left out: of names that are not among the genes, as controls are, and of known genes but
        too low a quality.
    """

    um: NDArray[np.float32]
    gene: NDArray[np.int32]
    cell: pd.Categorical | None
    others: int
    poor: int


class _Kept:
    """What is kept of the pieces read so far."""

    def __init__(self) -> None:
        self.um: list[Matrix] = [np.empty((0, 2), np.float32)]
        self.gene: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        self.cell: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        self.cells: pd.Index = pd.Index([], dtype=object)
        self.number = self.poor = self.nameless = self.nowhere = 0
        self.unknown: dict[str, None] = {}  # names that are no genes, in order

    def add(self, piece: pd.DataFrame, genes: pd.Index, layout: Layout, path: Path) -> None:
        names = piece[layout.gene].astype("category").cat
        place = genes.get_indexer(names.categories.astype(str))
        code = np.append(place, -1)[names.codes.to_numpy()]
        self.unknown |= dict.fromkeys(map(str, names.categories[place < 0]))
        keep = code >= 0
        if layout.quality in piece:
            good = pd.to_numeric(piece[layout.quality], errors="coerce").to_numpy(float) >= QUALITY
            self.poor += int(np.sum(keep & ~good))
            keep &= good
        xy = piece.loc[keep, [layout.x, layout.y]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        self.number += len(piece)
        self.nameless += int(piece[layout.gene].isna().sum())
        self.nowhere += int(np.sum(~np.isfinite(xy).all(axis=1)))
        self.um.append(xy.astype(np.float32))
        self.gene.append(code[keep].astype(np.int32))
        if set(layout.cell) <= set(piece) and layout.cell:
            self._add_cells(_cells(piece[keep], layout, path))

    def _add_cells(self, cells: pd.Series) -> None:
        inside = cells.notna().to_numpy()
        code = np.full(len(cells), -1, np.int32)
        self.cells, code[inside] = grown(self.cells, cells[inside])
        self.cell.append(code)

    def check(self, path: Path, genes: pd.Index) -> None:
        """Raise what is wrong with the file."""
        if self.nameless:
            raise DataError(
                f"{self.nameless} of the {self.number} molecules of {path.name} have no name of a gene; "
                "the file may be cut short"
            )
        if self.nowhere:
            raise DataError(
                f"{self.nowhere} of the {self.number} molecules of {path.name} have no finite coordinates"
            )
        if not sum(map(len, self.gene)):
            why = (
                f"the {self.poor} of a gene of the table have a quality below {QUALITY:g}"
                if self.poor
                else f"its names are {listing(self.unknown, 3)}, the genes of the table {listing(genes, 3)}"
            )
            raise DataError(f"none of the {self.number} molecules of {path.name} can be used: {why}")


def read_molecules(path: str | Path, genes: pd.Index, *, mpp: float = float("nan")) -> Transcripts:
    """Read the molecules of known genes, piece by piece: memory is that of what is kept.

    Xenium's (of a quality of 20 or more, as 10x counts them), MERSCOPE's and CosMx's tables are told by their
    columns, as is a plain one of x, y, gene and, where it is known, cell.

    Parameters
    ----------
    path
        Parquet or text, also compressed.
    genes
        Names, shape (g,).
    mpp
        Micrometres per full-resolution pixel, for places that are given in pixels (CosMx); NaN leaves them.

    Raises
    ------
    DataError
        When the file is damaged, is no table of molecules, has places that are no numbers, or no molecule of
        any of the genes.
    """
    path, genes, kept = Path(path), genes.astype(str), _Kept()
    layout = _layout(path)
    also = (*layout.cell, *([layout.quality] if layout.quality else []))
    for piece in read_pieces(path, (layout.x, layout.y, layout.gene), also):
        kept.add(piece, genes, layout, path)
    kept.check(path, genes)
    um, gene = np.concatenate(kept.um), np.concatenate(kept.gene)
    cell = None
    if len(kept.cell) > 1:
        cell = pd.Categorical.from_codes(np.concatenate(kept.cell), kept.cells)
    scale = np.float32(mpp if layout.in_px and np.isfinite(mpp) else 1)
    return Transcripts(um * scale, gene, cell, kept.number - len(gene) - kept.poor, kept.poor)


def cell_rows(obs_names: pd.Index, sample: str, ids: pd.Categorical) -> NDArray[np.int64]:
    """Row of the cell of each molecule, -1 where it is in no cell or its cell is not among the observations.

    Parameters
    ----------
    obs_names
        Of a study or of a section of it, unique. In a study of several samples a cell is called
        ``SAMPLE_ID``, in one of a single sample ``ID``.
    sample
        That the molecules belong to.
    ids
        Of the cells, as the file has them, shape (m,).
    """
    names, known = obs_names.astype(str), ids.categories.astype(str)
    rows = names.get_indexer(f"{sample}_" + known)
    if not np.any(rows >= 0):
        rows = names.get_indexer(known)
    found: NDArray[np.int64] = np.append(rows, -1)[ids.codes].astype(np.int64)
    return found


def _layout(path: Path) -> Layout:
    there = columns_of(path)
    fitting = [layout for layout in LAYOUTS if {layout.x, layout.y, layout.gene} <= set(there)]
    if not fitting:
        wanted = ", or ".join(dict.fromkeys(f"{layout.x}, {layout.y}, {layout.gene}" for layout in LAYOUTS))
        raise DataError(
            f"the file {path.name} is no table of molecules: it has the columns {listing(there)}, "
            f"not {wanted}"
        )
    return next((layout for layout in fitting if set(layout.cell) <= set(there)), fitting[0])


def _cells(piece: pd.DataFrame, layout: Layout, path: Path) -> pd.Series:
    """Ids of the cells of these rows, categories; missing outside of cells."""
    if layout.cell == IDS:
        return _cells_of_fields(piece, path)
    ids = piece[layout.cell[0]].astype("category")
    return ids.cat.set_categories(ids.cat.categories.drop(list(NO_CELL), errors="ignore"))


def _cells_of_fields(piece: pd.DataFrame, path: Path) -> pd.Series:
    numbers = piece[list(IDS)].apply(pd.to_numeric, errors="coerce")
    code = numbers.groupby(list(IDS), sort=False, dropna=False).ngroup().to_numpy()
    names = cell_ids(numbers.drop_duplicates(), path)  # text is made once for a cell, not for a molecule
    known = names.notna()
    place = np.where(known, np.cumsum(known) - 1, -1)
    return pd.Series(pd.Categorical.from_codes(place[code], names[known]), index=piece.index)
