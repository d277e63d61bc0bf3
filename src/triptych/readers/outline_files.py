"""Files of outlines → rings: a table of vertices as Xenium writes it, or polygons as GeoParquet has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Codes, Indices, Matrix
from triptych.maths.polygons import areas_px
from triptych.readers.long_tables import columns_of, read_table, undamaged

Mask: TypeAlias = NDArray[np.bool_]
EXTRA: Final = "cells"
ID: Final = "cell_id"
VERTICES: Final = (ID, "vertex_x", "vertex_y")
GEOMETRY: Final = "geometry"
POLYGONS: Final = (3, 6)  # shapely's numbers of the types polygon and multipolygon


@dataclass(frozen=True, eq=False)
class RingFile:
    """What a file of outlines holds.

    Parameters
    ----------
    outlines
        In the numbers of the file; ``row`` is the place of the ring's cell in ``ids``.
    ids
        Of the cells with a ring, text, in the order of the file.
    flat
        How many rings were left out because they have fewer than three distinct points.
    """

    outlines: Outlines
    ids: pd.Index
    flat: int


def read_rings(path: Path) -> RingFile:
    """Read the rings of a file.

    Parameters
    ----------
    path
        Parquet or text with the columns cell_id, vertex_x, vertex_y and perhaps label_id (one for each ring
        of a cell), vertices in order; or GeoParquet: polygons in well-known binary in the column that the
        file calls its geometry, ids in the column cell_id, else in the index. Holes are not read.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, no ring, or what is no polygon or no number.
    MissingExtraError
        When there is no pyarrow, or no shapely for polygons.
    """
    there = columns_of(path)
    geometry = _geometry(path, there)
    if geometry:
        return _checked(path, *_polygons(path, there, geometry))
    if not set(VERTICES) <= set(there):
        raise DataError(
            f"the file {path.name} has no outlines: it has the columns {listing(there)}, "
            f"not {', '.join(VERTICES)}, nor a column {GEOMETRY} of polygons"
        )
    return _checked(path, *_vertices(path))


Read = tuple[
    Matrix, Indices, Codes, pd.Index, int
]  # vertices, ring of each, cell of each ring, ids, empty rings


def _vertices(path: Path) -> Read:
    frame = read_table(path, VERTICES, ("label_id",))
    cell, ids = pd.factorize(frame[ID].astype(str))
    ring = (
        cell if "label_id" not in frame else frame.groupby([ID, "label_id"], sort=False).ngroup().to_numpy()
    )
    order = np.argsort(ring, kind="stable")
    xy = frame[list(VERTICES[1:])].apply(pd.to_numeric, errors="coerce").to_numpy(float)[order]
    first = np.flatnonzero(np.diff(ring[order], prepend=-1))
    return xy, ring[order], cell[order][first], pd.Index(ids), 0


def _geometry(path: Path, there: list[str]) -> str:
    """The column of polygons; empty where there is none."""
    if path.suffix != ".parquet":
        return ""
    words = _words(path, b"geo")
    name = words.get("primary_column") if isinstance(words, dict) else None
    return next((column for column in (name, GEOMETRY) if isinstance(column, str) and column in there), "")


def _words(path: Path, key: bytes) -> Any:
    """What the schema says under a key, JSON; None where it says nothing."""
    parquet = need("pyarrow.parquet", EXTRA)
    with undamaged(path):
        text = (parquet.read_schema(path).metadata or {}).get(key)
    try:
        return json.loads(text) if text else None
    except ValueError:  # some program's own words
        return None


def _polygons(path: Path, there: list[str], geometry: str) -> Read:
    column = ID if ID in there else _index(path, there)
    parquet, shapely = need("pyarrow.parquet", EXTRA), need("shapely", EXTRA)
    with undamaged(path):
        table = parquet.read_table(path, columns=[geometry, *([column] if column else [])])
    kind = str(table.schema.field(geometry).type)
    if "binary" not in kind:
        raise DataError(f"the column {geometry} of {path.name} is of type {kind}, not polygons in WKB")
    shapes = shapely.from_wkb(table[geometry].to_numpy(), on_invalid="ignore")
    bad = ~np.isin(shapely.get_type_id(shapes), POLYGONS)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} of {len(shapes)} outlines of {path.name} are missing or no polygons"
        )
    names = _text(table[column].to_pandas()) if column else pd.Series(np.arange(len(shapes))).astype(str)
    code, ids = pd.factorize(names)
    parts, shape = shapely.get_parts(shapes, return_index=True)
    xy, ring = shapely.get_coordinates(shapely.get_exterior_ring(parts), return_index=True)
    filled, ring = np.unique(ring, return_inverse=True)
    return xy, ring, code[shape[filled]], pd.Index(ids), len(parts) - len(filled)


def _index(path: Path, there: list[str]) -> str:
    """The column that pandas keeps the index in; empty where it is no column."""
    words = _words(path, b"pandas")
    columns = words.get("index_columns", []) if isinstance(words, dict) else []
    return next((name for name in columns if isinstance(name, str) and name in there), "")


def _text(ids: pd.Series) -> pd.Series:
    """Ids as text, whatever the instrument's version wrote."""
    if len(ids) and isinstance(ids.iloc[0], bytes):
        return ids.str.decode("utf-8")
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype(np.int64)
    return ids.astype(str)


def _checked(path: Path, xy: Matrix, ring: Indices, cell: Codes, ids: pd.Index, empty: int) -> RingFile:
    """Rings that do not repeat their first vertex and have three distinct ones at least."""
    bad = int(np.sum(~np.isfinite(xy).all(axis=1)))
    if bad:
        raise DataError(f"{bad} vertices of {path.name} have no finite coordinates")
    if not len(cell):
        raise DataError(f"the file {path.name} has no outlines: it is empty")
    begins = np.diff(ring, prepend=-1) != 0
    ends = np.append(begins[1:], True)
    repeats = ends & ~begins
    at = np.flatnonzero(repeats)
    repeats[at] = (xy[at] == xy[np.flatnonzero(begins)[ring[at]]]).all(axis=1)
    xy, ring = xy[~repeats], ring[~repeats]
    flat = _flat(xy, ring, len(cell))
    if flat.all():
        raise DataError(f"none of the {len(cell)} outlines of {path.name} has three distinct points")
    keep = ~flat[ring]
    size = np.bincount(ring, minlength=len(cell))[~flat]
    first = np.append(0, np.cumsum(size))
    used, row = np.unique(cell[~flat], return_inverse=True)  # a cell without a ring left is none
    return RingFile(Outlines(xy[keep], first, row), ids[used], int(flat.sum()) + empty)


def _flat(xy: Matrix, ring: Indices, number: int) -> Mask:
    """Which rings have fewer than three distinct points; only those without area are looked at closely."""
    size = np.bincount(ring, minlength=number)
    area = areas_px(Outlines(xy, np.append(0, np.cumsum(size)), np.arange(number)))
    thin = (area == 0)[ring]
    points = np.unique(np.column_stack([ring[thin], xy[thin]]), axis=0)
    few: Mask = (area == 0) & (np.bincount(points[:, 0].astype(np.int64), minlength=number) < 3)
    return few
