"""Tables of cells and of transcripts that share nothing but their frame: published parts of Xenium runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.spatial import cKDTree

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.slots import UNS
from triptych.readers.long_tables import TEXT, columns_of, read_pieces
from triptych.readers.molecules import Tally, has_prefix
from triptych.readers.sections import About, section
from triptych.readers.xenium_counts import CONTROLS

CELLS: Final = ("x", "y")
TRANSCRIPTS: Final = ("x", "y", "feature_name")
IDS: Final = ("cell_id", "cells", "cell")
LABEL: Final = "anno"
Pair = tuple[Path, Path]


def tables_of_points(path: Path) -> dict[str, Pair]:
    """Name of each sample → its ``NAME_cells`` and ``NAME_transcripts``, if their columns are such."""
    if not path.is_dir():
        return {}
    pairs: dict[str, Pair] = {}
    for end in TEXT:
        for file in sorted(path.glob(f"*_cells{end}")):
            name = file.name.removesuffix(f"_cells{end}")
            other = file.with_name(f"{name}_transcripts{end}")
            if other.is_file() and _has(file, CELLS) and _has(other, TRANSCRIPTS):
                pairs.setdefault(name, (file, other))
    return pairs


def _has(path: Path, columns: tuple[str, ...]) -> bool:
    try:
        return set(columns) <= set(columns_of(path))
    except DataError:
        return False


def read_points(name: str, pair: Pair, reach_um: float) -> AnnData:
    """Count each transcript for the cell with the nearest centre, if that is near enough.

    Parameters
    ----------
    name
        Of the sample.
    pair
        Its cells and its transcripts.
    reach_um
        Farthest centre that a transcript is counted for.

    Raises
    ------
    DataError
        When a table is damaged, a place is no number, or no transcript is near a cell.
    """
    cells = _cells(pair[0])
    um = cells[["x", "y"]].to_numpy(float)
    tally, number, away = _tally(pair[1], um, cells.index, reach_um)
    if away == number:
        raise DataError(
            f"none of the {number} transcripts of {pair[1].name} is within {reach_um:g} µm of a cell"
        )
    warnings.warn(
        f"{name}: {pair[1].name} does not tell whose its transcripts are; each is counted for the nearest "
        f"centre of a cell within {reach_um:g} µm, and {away} of {number} are left out.",
        TriptychWarning,
        stacklevel=2,
    )
    obs = cells.drop(columns=["x", "y"])
    if LABEL in obs:
        obs["truth"] = obs[LABEL]
    about = About(mpp=1.0, transcripts=str(pair[1].resolve()))
    table = section(
        name,
        tally.rows(cells.index),
        obs=obs,
        genes=pd.DataFrame(index=tally.genes.astype(str)),
        obsm={"spatial": um, "spatial_um": um.copy()},
        about=about,
    )
    table.uns[UNS]["truth_column"] = LABEL if LABEL in obs else ""
    return table


def _cells(path: Path) -> pd.DataFrame:
    there = columns_of(path)
    column = next((name for name in IDS if name in there), "")
    also = tuple(name for name in there if name not in {*CELLS, "sample"})
    frame = next(iter(read_pieces(path, CELLS, also)))
    ids = pd.Index(frame.pop(column).astype(str) if column else frame.index.astype(str), name=None)
    if not ids.is_unique:
        doubles = ids[ids.duplicated()].unique()
        raise DataError(
            f"{len(doubles)} cells are there more than once in {path.name}: {listing(doubles, 3)}"
        )
    frame = frame.set_axis(ids, axis=0)
    frame[list(CELLS)] = frame[list(CELLS)].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(frame[list(CELLS)].to_numpy(float)).all(axis=1)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} cells of {path.name} have no finite coordinates: {listing(ids[bad], 3)}"
        )
    return frame


def _tally(path: Path, um: np.ndarray, ids: pd.Index, reach_um: float) -> tuple[Tally, int, int]:
    """Counts, how many transcripts of genes there are, and how many of them are in no cell."""
    tree, tally, number, away = cKDTree(um), Tally(), 0, 0
    for piece in read_pieces(path, TRANSCRIPTS):
        gene = piece["feature_name"].astype("category")
        is_gene = np.append(~has_prefix(gene.cat.categories, CONTROLS), False)[gene.cat.codes.to_numpy()]
        places = piece.loc[is_gene, ["x", "y"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        if not np.isfinite(places).all():
            raise DataError(f"some transcripts of {path.name} have no finite coordinates")
        distance, nearest = tree.query(places, distance_upper_bound=reach_um)
        near = np.isfinite(distance)
        number, away = number + len(near), away + int((~near).sum())
        # codes of all cells, so that the names are looked up once
        tally.add(pd.Series(pd.Categorical.from_codes(nearest[near], ids)), gene[is_gene][near])
    return tally, number, away
