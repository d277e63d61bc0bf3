"""Counts of a Xenium bundle: its matrix, else its transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.readers.long_tables import read_pieces
from triptych.readers.molecules import Tally, has_prefix
from triptych.readers.spaceranger import Read, read_h5, read_mtx
from triptych.readers.xenium_bundle import PLACES

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


def tally_of(path: Path, quality: float) -> Tally:
    """Molecules of genes by cell from ``transcripts``: those of a cell and of enough quality.

    Parameters
    ----------
    path
        Parquet or text.
    quality
        Smallest Phred-scaled quality value that counts.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, or no molecule counts.
    """
    tally, number = Tally(), 0
    for piece in read_pieces(path, ("cell_id", *PLACES, "qv")):
        number += len(piece)
        cell, gene = (piece[column].astype("category") for column in ("cell_id", "feature_name"))
        keep = _of(cell, ~cell.cat.categories.isin(NO_CELL))
        keep &= _of(gene, ~has_prefix(gene.cat.categories, CONTROLS))
        keep &= piece["qv"].to_numpy(float) >= quality
        um = piece.loc[keep, ["x_location", "y_location"]].to_numpy(float)
        tally.add(cell[keep], gene[keep], um)
    if not len(tally.cells):
        raise DataError(
            f"none of the {number} transcripts of {path.name} counts: it must be of a gene, in a cell, "
            f"and of a quality (qv) of at least {quality:g}"
        )
    return tally


def _of(column: pd.Series, kept: np.ndarray) -> np.ndarray:
    """Whether the category of each row is kept; a missing one is not."""
    return np.append(kept, False)[column.cat.codes.to_numpy()]


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
