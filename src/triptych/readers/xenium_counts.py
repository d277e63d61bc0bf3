"""Counts of a Xenium bundle: its matrix, else its transcripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.protocols import Matrix
from triptych.maths.polygons import Rings
from triptych.readers.long_tables import columns_of, read_pieces
from triptych.readers.molecules import Tally, has_prefix
from triptych.readers.outline_files import read_rings
from triptych.readers.spaceranger import Read, read_h5, read_mtx
from triptych.readers.xenium_bundle import PLACES

Mask: TypeAlias = NDArray[np.bool_]
Of = Literal["cell", "nucleus"]
OVERLAPS: Final = "overlaps_nucleus"
QUALITY: Final = 20.0  # of 10x's own matrix
CONTROLS: Final = (
    "negcontrol",
    "antisense_",
    "blank_",
    "unassignedcodeword",
    "deprecatedcodeword",
    "genomic_control",
    "genomiccontrol",
    "intergenic",
)
NO_CELL: Final = ("", "UNASSIGNED", "-1")


def matrix_of(path: Path) -> Read:
    """Counts of genes from ``cell_feature_matrix``, without controls.

    Raises
    ------
    DataError
        When the matrix is damaged, or holds controls only.
    """
    counts, cells, genes = read_mtx(path) if path.is_dir() else read_h5(path)
    if not len(genes):
        raise DataError(f"{path.name} has no feature of the type Gene Expression")
    return counts, cells, genes


def tally_of(path: Path, quality: float, of: Of = "cell", outlines: Path | None = None) -> Tally:
    """Molecules of genes by cell from ``transcripts``: those of a cell and of enough quality.

    Parameters
    ----------
    path
        Parquet or text.
    quality
        Smallest Phred-scaled quality value that counts.
    of
        ``nucleus`` counts only what lies in a nucleus, as the column overlaps_nucleus says.
    outlines
        Of the nuclei in µm, which say so where there is no such column.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, or no molecule counts.
    """
    tally, number = Tally(), 0
    inside = _in_nuclei(path, outlines) if of == "nucleus" else None
    for piece in read_pieces(path, ("cell_id", *PLACES, "qv"), (OVERLAPS,) if inside else ()):
        number += len(piece)
        keep = in_cells(piece["cell_id"]) & are_genes(piece["feature_name"])
        keep &= piece["qv"].to_numpy(float) >= quality
        um = piece.loc[keep, ["x_location", "y_location"]].to_numpy(float)
        cell, gene = (piece[column].astype("category")[keep] for column in ("cell_id", "feature_name"))
        if inside is not None:
            within = inside(piece[keep], um)
            cell, gene, um = cell[within], gene[within], um[within]
        tally.add(cell, gene, um)
    if not len(tally.cells):
        raise DataError(
            f"none of the {number} transcripts of {path.name} counts: it must be of a gene, in a {of}, "
            f"and of a quality (qv) of at least {quality:g}"
        )
    return tally


def are_genes(names: pd.Series) -> Mask:
    """Which transcripts are of a gene, not of a control, shape (m,)."""
    gene = names.astype("category")
    return _of(gene, ~has_prefix(gene.cat.categories, CONTROLS))


def in_cells(ids: pd.Series) -> Mask:
    """Which transcripts are in a cell, shape (m,)."""
    cell = ids.astype("category")
    return _of(cell, ~cell.cat.categories.isin(NO_CELL))


def _of(column: pd.Series, kept: Mask) -> Mask:
    """Whether the category of each row is kept; a missing one is not."""
    return np.append(kept, False)[column.cat.codes.to_numpy()]


def _in_nuclei(path: Path, outlines: Path | None) -> Callable[[pd.DataFrame, Matrix], Mask]:
    """Transcripts and their places in µm → which of them lie in a nucleus."""
    if OVERLAPS in columns_of(path):
        return lambda piece, um: (pd.to_numeric(piece[OVERLAPS], errors="coerce") == 1).to_numpy()
    if outlines is None:
        raise DataError(
            f"nothing tells which transcripts lie in a nucleus: {path.name} has no column {OVERLAPS}, and "
            "the file nucleus_boundaries.parquet is missing"
        )
    rings = Rings.of(read_rings(outlines).outlines)
    return lambda piece, um: rings.holding(um) >= 0


def check_same(matrix: pd.Index, table: pd.Index, files: tuple[str, str]) -> None:
    """Check that the matrix and the table of cells have the same cells; 10x writes every cell to both.

    Raises
    ------
    DataError
        When they differ, or the matrix has a cell twice.
    """
    if not matrix.is_unique:
        doubles = matrix[matrix.duplicated()].unique()
        raise DataError(f"{len(doubles)} cells are there more than once in {files[0]}: {listing(doubles, 3)}")
    only, other = matrix.difference(table), table.difference(matrix)
    if len(only) or len(other):
        raise DataError(
            f"{files[0]} has {len(matrix)} cells and {files[1]} {len(table)}: {len(only)} are only "
            f"in the first ({listing(only, 3)}) and {len(other)} only in the second ({listing(other, 3)})"
        )
