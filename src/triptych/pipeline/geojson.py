"""Abundance of one section for other programs: polygons for QuPath, and a table of numbers.

QuPath (from 0.4 on) reads a feature's ``properties``: ``objectType``, ``name``, ``classification`` with a
name and a colour, and ``measurements``, name → number. Its coordinates are pixels of the full-resolution
image, x to the right and y down, as those of obsm:spatial are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from colorsys import hls_to_rgb
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from triptych.core import slots
from triptych.core.checks import listing
from triptych.core.errors import DataError, MissingSlotError
from triptych.core.protocols import Indices, Matrix
from triptych.core.slots import Slot

ENDS: Final = ("low", "high")  # of the interval: slots beside the one that is written
AT_ONCE: Final = 2000  # features that are made before they are written
DECIMALS: Final = 6
GOLDEN: Final = 0.618034  # of a turn: hues that follow each other lie far apart
HUE, LIGHTNESS, SATURATION = 0.57, 0.5, 0.65
Colour = tuple[int, int, int]


def write_geojson(
    path: Path, table: AnnData, slot: str, *, sample: str = "", colours: Mapping[str, Colour] | None = None
) -> None:
    """Write a FeatureCollection with a square for each observation of a section, piece by piece.

    The square is as wide as the section's pitch; where no pitch is known, as the median distance to the
    nearest neighbour. Each has its values as measurements, with the ends of their intervals as «TYPE low»
    and «TYPE high» where these are there, and the type of the largest value as its classification. Values
    that are not finite are left out.

    Parameters
    ----------
    path
        Of the file, mostly ``….geojson``.
    table
        A study.
    slot
        A frame of it with a column for each type, e.g. ``obsm:abundance.mlp``.
    sample
        The section, where the study has several: a file belongs to one slide.
    colours
        Type → red, green and blue, 0 to 255; by default hues that lie far apart.

    Raises
    ------
    DataError
        When the slot is missing or no such frame, or the study has several sections and none is named.
    """
    rows = _rows(table, sample)
    values = _frames(table, slot)
    types = [str(name) for name in values[0].columns]
    palette = {name: (colours or {}).get(name, hue) for name, hue in _hues(types).items()}
    xy = np.asarray(table.obsm["spatial"], float)[rows]
    side = side_px(table, rows, xy)
    names = [*types, *(f"{name} {end}" for end, _ in zip(ENDS, values[1:], strict=False) for name in types)]
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            numbers = np.round(np.hstack([frame.iloc[part].to_numpy(float) for frame in values]), DECIMALS)
            corners = np.round(_squares(xy[start : start + AT_ONCE], side), 2)
            features = _features(table.obs_names[part].astype(str), corners, numbers, names, palette)
            text = ",\n".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in features)
            file.write(("\n" if start == 0 else ",\n") + text)
        file.write("\n]}\n")


def write_abundance(path: Path, table: AnnData, slot: str) -> None:
    """Write a table of numbers: id, x and y in pixels and µm, the types, and the ends of their intervals.

    Parameters
    ----------
    path
        Of the file, mostly ``abundance.csv``.
    table
        A study; the µm are empty where it has none.
    slot
        As of `write_geojson`.

    Raises
    ------
    DataError
        When the slot is missing or no such frame.
    """
    frames = _frames(table, slot)
    px = np.asarray(table.obsm["spatial"], float)
    um = np.asarray(table.obsm.get("spatial_um", np.full_like(px, np.nan)), float)
    places = pd.DataFrame(np.hstack([px, um]), columns=["x_px", "y_px", "x_um", "y_um"])
    parts = [places.set_axis(table.obs_names.astype(str), axis=0)]
    for end, frame in zip(("", *ENDS), frames, strict=False):
        columns = [f"{name} {end}".strip() for name in frame.columns]
        parts.append(frame.set_axis(columns, axis=1).set_axis(parts[0].index, axis=0))
    pd.concat(parts, axis=1).round(DECIMALS).to_csv(path, index_label="id")


def _rows(table: AnnData, sample: str) -> NDArray[np.intp]:
    names = table.obs["sample"].astype(str).to_numpy()
    known = [str(name) for name in pd.unique(names)]
    if sample and sample not in known:
        raise DataError(f"There is no sample {sample}.", f"There is: {listing(known)}.")
    if not sample and len(known) > 1:
        raise DataError(
            f"A file of polygons belongs to one slide, and there are {listing(known)}.", "Name the sample."
        )
    return np.flatnonzero(names == (sample or known[0]))


def _frames(table: AnnData, slot: str) -> list[pd.DataFrame]:
    """The values, and both ends of their intervals where they are there."""
    key = Slot.parse(slot).key
    if key not in table.obsm:
        raise MissingSlotError(f"The table has no {slot}. obsm has: {listing(table.obsm)}.")
    keys = [key, *(f"{key}.{end}" for end in ENDS)]
    keys = keys if set(keys) <= set(table.obsm) else keys[:1]
    found = [table.obsm[name] for name in keys]
    if not all(isinstance(one, pd.DataFrame) and one.shape[1] for one in found) or any(
        list(one.columns) != list(found[0].columns) for one in found
    ):
        raise DataError(
            f"{listing(f'obsm:{name}' for name in keys)} are no frames with the same column for each type."
        )
    return found


def side_px(table: AnnData, rows: Indices, xy: Matrix) -> float:
    """How wide the squares of a section are.

    Parameters
    ----------
    table
        A study.
    rows
        Of the section.
    xy
        Centres of these in pixels, shape (n, 2).
    """
    about = table.uns[slots.UNS]["samples"].loc[str(table.obs["sample"].iloc[rows[0]])]
    side = float(about["pitch_um"]) / float(about["mpp"])
    if np.isfinite(side):
        return side
    if len(xy) < 2:
        return 1.0
    return float(np.median(cKDTree(xy).query(xy, k=2)[0][:, 1])) or 1.0


def _squares(xy: Matrix, side: float) -> Matrix:
    """Corners of the squares around places, the first one again as the last, shape (n, 5, 2)."""
    turns = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    squares: Matrix = xy[:, None, :] + turns * side / 2
    return squares


def _features(
    ids: pd.Index, corners: Matrix, numbers: Matrix, names: list[str], palette: Mapping[str, Colour]
) -> Iterator[dict[str, Any]]:
    known = np.isfinite(numbers)
    types = len(palette)
    largest = np.where(known[:, :types], numbers[:, :types], -np.inf).argmax(axis=1)
    listed = zip(ids, corners.tolist(), numbers.tolist(), known.tolist(), largest.tolist(), strict=True)
    for name, ring, row, there, best in listed:
        properties: dict[str, Any] = {"objectType": "detection", "name": name}
        if there[best]:
            label = names[best]
            properties["classification"] = {"name": label, "color": list(palette[label])}
        properties["measurements"] = {
            what: value for what, value, good in zip(names, row, there, strict=True) if good
        }
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),  # QuPath takes no other kind; the same each time
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": properties,
        }


def _hues(types: list[str]) -> dict[str, Colour]:
    """Type → a colour."""
    made = (hls_to_rgb((HUE + GOLDEN * k) % 1, LIGHTNESS, SATURATION) for k in range(len(types)))
    return {
        name: (round(255 * r), round(255 * g), round(255 * b))
        for name, (r, g, b) in zip(types, made, strict=True)
    }
