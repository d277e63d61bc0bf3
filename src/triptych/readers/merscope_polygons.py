"""Centres of cells from their polygons, as a MERSCOPE region holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.readers.long_tables import columns_of, undamaged

BOUNDARIES: Final = "cell_boundaries.parquet"
EXTRA: Final = "cells"


def centres(folder: Path, ids: pd.Index) -> tuple[pd.DataFrame, Path]:
    """Centres of the cells in µm, from the table of polygons that has most of the cells.

    A cell's centre is the mean of the centroids of its polygons, one for each plane z that it is seen in, as
    the vendor's own metadata have it.

    Returns
    -------
    Columns center_x and center_y, indexed by cell; and the file.

    Raises
    ------
    DataError
        When no table has polygons, several serve equally well, or one is damaged.
    """
    path = boundaries(folder, ids)
    if path is None:
        raise DataError(
            f"neither cell_metadata.csv nor polygons of the cells ({BOUNDARIES}, with the columns EntityID "
            "and Geometry) are there: one of them must say where the cells lie"
        )
    table = _parquet(path, ["EntityID", "Geometry"])
    kind = str(table.schema.field("Geometry").type)
    if "binary" not in kind:
        raise DataError(f"the column Geometry of {path.name} is of type {kind}, not polygons in WKB")
    shapely = need("shapely", EXTRA)
    shapes = shapely.from_wkb(table["Geometry"].to_numpy(), on_invalid="ignore")
    damaged = int(np.sum(shapely.is_missing(shapes)))
    if damaged:
        raise DataError(f"{damaged} of {len(shapes)} polygons of {path.name} are missing or no WKB")
    filled = ~shapely.is_empty(shapes)  # an empty polygon has no centroid
    points = shapely.centroid(shapes[filled])
    every = pd.DataFrame({"center_x": shapely.get_x(points), "center_y": shapely.get_y(points)})
    return every.groupby(_names(table)[filled], sort=False).mean(), path


def boundaries(folder: Path, ids: pd.Index) -> Path | None:
    """The table of polygons in µm that has most of the cells, if there is one.

    Raises
    ------
    DataError
        When several have as many.
    """
    having: dict[Path, tuple[int, bool]] = {}
    for path in sorted(folder.glob("*.parquet")):
        if "mosaic_space" not in path.name and {"EntityID", "Geometry"} <= set(columns_of(path)):
            known = int(np.sum(ids.isin(_names(_parquet(path, ["EntityID"])))))
            having[path] = (known, path.name == BOUNDARIES)
    best = [path for path, rank in having.items() if rank == max(having.values())]
    if len(best) > 1:
        names = listing(path.name for path in best)
        raise DataError(
            f"the polygons in {names} have equally many of the cells: "
            f"name the one to use {BOUNDARIES}, or leave only it"
        )
    return best[0] if best else None


def _parquet(path: Path, columns: list[str]) -> Any:
    parquet = need("pyarrow.parquet", EXTRA)
    with undamaged(path):
        return parquet.read_table(path, columns=columns)


def _names(table: Any) -> np.ndarray:
    """Ids as text: 19 digits do not survive a detour over floating point."""
    names: np.ndarray = table["EntityID"].cast("string").to_numpy()
    return names
