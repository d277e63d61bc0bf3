"""Cells of a Xenium bundle: their ids, centroids, areas and labels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.delimited import read_frame
from triptych.readers.layouts import ReadOptions
from triptych.readers.long_tables import read_table
from triptych.readers.molecules import Tally
from triptych.readers.truths import truth_column
from triptych.readers.xenium_bundle import CENTROIDS, Bundle
from triptych.readers.xenium_polygons import centroids

AREAS: Final = {"cell_area": "cell_area_um2", "nucleus_area": "nucleus_area_um2"}
COUNT: Final = "transcript_counts"
VERTICES: Final = ("cell_id", "vertex_x", "vertex_y")
IDS: Final = ("barcode", "cell_id", "cell", "cells")  # names of the column of ids in a table of labels
NO_LABEL: Final = ("color", "colour")


def cells_of_table(path: Path, faults: Faults) -> pd.DataFrame:
    """Columns x, y (µm) and areas of every cell of ``cells.parquet``, indexed by its id.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, or an id twice.
    """
    frame = read_table(path, ("cell_id", *CENTROIDS), (*AREAS, COUNT))
    frame.index = pd.Index(frame.pop("cell_id").astype(str), name=None)
    frame = frame.rename(columns={**dict(zip(CENTROIDS, "xy", strict=True)), **AREAS})
    numbers: pd.DataFrame = frame.apply(pd.to_numeric, errors="coerce")
    _check_unique(numbers.index, path.name)
    _check_signs(numbers, path.name, faults)
    return numbers


def _check_unique(ids: pd.Index, file: str) -> None:
    if not ids.is_unique:
        doubles = ids[ids.duplicated()].unique()
        raise DataError(f"{len(doubles)} cells are there more than once in {file}: {listing(doubles, 3)}")


def _check_signs(cells: pd.DataFrame, file: str, faults: Faults) -> None:
    negative = (cells[["x", "y"]] < 0).any(axis=1)
    if negative.any():
        faults.add(
            f"{int(negative.sum())} cells of {file} lie at negative coordinates, where no pixel is: "
            f"{listing(cells.index[negative], 3)}"
        )


def cells_of_outlines(bundle: Bundle, tally: Tally, name: str, faults: Faults) -> pd.DataFrame:
    """The same without a table of cells: centroids of nuclei, else of cells, else means of transcripts.

    Parameters
    ----------
    bundle
        With boundaries, or without.
    tally
        Its molecules by cell; a cell without outline is placed by them, and one without molecules is left
        out, since nothing tells whether the file should hold its counts.
    name
        Of the sample, for warnings.
    faults
        Receives what is wrong with places.
    """
    cells = pd.DataFrame({"x": np.nan, "y": np.nan}, index=tally.cells.astype(str))
    sources = ((bundle.nucleus_boundaries, "nucleus_area"), (bundle.cell_boundaries, "cell_area"))
    for path, area in sources:
        if path is not None:
            found = outlines(path).reindex(cells.index)
            cells[AREAS[area]] = found.pop("area")
            cells = cells.fillna(found[["x", "y"]])
    bare = cells["x"].isna()
    if bare.any():
        cells.loc[bare, ["x", "y"]] = tally.means[bare.to_numpy()]
        warnings.warn(
            f"{name}: {int(bare.sum())} of {len(cells)} cells have neither a centroid nor an outline; "
            "they are placed at the mean of their transcripts.",
            TriptychWarning,
            stacklevel=2,
        )
    _check_signs(cells, "the bundle", faults)
    return cells


def outlines(path: Path) -> pd.DataFrame:
    """Columns x, y (µm) and area (µm²) of every cell with a polygon, indexed by its id.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, or has vertices that are no numbers.
    """
    frame = read_table(path, VERTICES, ("label_id",))
    um = frame[["vertex_x", "vertex_y"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = ~np.isfinite(um).all(axis=1)
    if bad.any():
        raise DataError(f"{int(bad.sum())} vertices of {path.name} have no finite coordinates")
    cell, ids = pd.factorize(frame["cell_id"])
    ring = cell if "label_id" not in frame else pd.factorize(frame["label_id"])[0]
    return centroids(cell, ring, um).set_axis(pd.Index(ids.astype(str)), axis=0)


def labels(bundle: Bundle, cells: pd.Index, faults: Faults) -> tuple[pd.DataFrame, str]:
    """Columns of a table of labels beside the bundle, and which of them is the truth.

    Returns
    -------
    A frame of every cell, missing where the table has no such cell; the name of the column of labels,
    empty where `triptych.readers.truths` finds one by its usual name or there is none.
    """
    none = pd.DataFrame(index=cells)
    if not bundle.notes:
        return none, ""
    file = bundle.notes[0]
    several = f"there are several tables of labels: {listing(f.name for f in bundle.notes)}; keep one"
    if not faults.check(len(bundle.notes) == 1, several):
        return none, ""
    try:
        notes = _by_cell(read_frame(file, index=False))
    except DataError as error:
        faults.add(error.message)
        return none, ""
    if not faults.check(notes.index.is_unique, f"cells are there more than once in {file.name}"):
        return none, ""
    faults.check(bool(notes.index.isin(cells).any()), f"no cell of {file.name} is in the bundle")
    return notes.reindex(cells), _label_column(notes)


def _by_cell(frame: pd.DataFrame) -> pd.DataFrame:
    lower = {str(column).lower(): column for column in frame.columns}
    column = next((lower[name] for name in IDS if name in lower), frame.columns[0])
    ids = pd.Index(frame[column].astype(str), name=None)
    drop = [column, *(c for c in frame.columns if str(c).lower() in {*NO_LABEL, "sample"})]
    return frame.drop(columns=drop).set_axis(ids, axis=0)


def _label_column(notes: pd.DataFrame) -> str:
    """The first column of text, unless one has a usual name."""
    if truth_column(notes, ReadOptions()):
        return ""
    text = [str(c) for c in notes.columns if not pd.api.types.is_numeric_dtype(notes[c])]
    return next(iter(text), "")
