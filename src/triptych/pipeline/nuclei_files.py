"""Nuclei that were found in slides, for other programs: polygons, a table, and shapes of SpatialData.

Polygons and the table are written as nuclei come, so a slide of any size needs little memory; shapes are
written at the end, of what is kept for them.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.nuclei import Outlines
from triptych.core.protocols import Matrix, Vector
from triptych.maths.polygons import areas_px, centroids_px, wkb
from triptych.pipeline.geojson import Colour

DECIMALS: Final = 4
NUCLEUS: Final = "nucleus"  # what a nucleus is called where no types are told


@dataclass(frozen=True, eq=False)
class Batch:
    """Some nuclei of a slide.

    Parameters
    ----------
    outlines
        One ring for each, in full-resolution pixels.
    probabilities
        Of each class, shape (n, c); no columns where no types are told.
    """

    outlines: Outlines
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.outlines.row)

    def frame(self, classes: Sequence[str], mpp: float, start: int) -> pd.DataFrame:
        """A row for each nucleus: place, area, type and probabilities, by its id.

        Parameters
        ----------
        classes
            Names of the types.
        mpp
            µm per full-resolution pixel.
        start
            Number of the first.
        """
        centre, area = centroids_px(self.outlines), areas_px(self.outlines)
        found = {
            "x_px": centre[:, 0], "y_px": centre[:, 1],
            "x_um": centre[:, 0] * mpp, "y_um": centre[:, 1] * mpp, "area_um2": area * mpp**2,
        }  # fmt: skip
        frame = pd.DataFrame(found).astype(float).round(DECIMALS)
        if self.probabilities.shape[1]:
            frame["type"] = np.asarray(classes, object)[self.probabilities.argmax(axis=1)]
            frame["confidence"] = self.probabilities.max(axis=1).astype(float).round(DECIMALS)
            for name, values in zip(classes, self.probabilities.T, strict=True):
                frame[f"p_{name}"] = values.astype(float).round(DECIMALS)
        frame.index = pd.Index([f"n{start + i}" for i in range(len(frame))], name="id")
        return frame


@dataclass
class NucleiFiles:
    """Files of one slide, filled batch by batch; a context manager that ends them.

    Parameters
    ----------
    geojson, table
        Where they are written.
    classes
        Names of the types.
    mpp
        µm per full-resolution pixel.
    colours
        Type → red, green and blue.
    kept
        What was written, for shapes and pictures.
    """

    geojson: Path
    table: Path
    classes: tuple[str, ...]
    mpp: float
    colours: Mapping[str, Colour]
    kept: list[Batch] = field(default_factory=list)
    count: int = 0

    def __enter__(self) -> Self:
        self._file = self.geojson.open("w", encoding="utf-8")
        self._file.write('{"type": "FeatureCollection", "features": [')
        empty = Batch(
            Outlines(np.empty((0, 2), np.float32), np.zeros(1, int), np.empty(0, int)), self._none()
        )
        empty.frame(self.classes, self.mpp, 0).to_csv(self.table)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write("\n]}\n")
        self._file.close()

    def _none(self) -> NDArray[np.float32]:
        return np.empty((0, len(self.classes)), np.float32)

    def add(self, batch: Batch) -> None:
        """Write some nuclei."""
        if not len(batch):
            return
        frame = batch.frame(self.classes, self.mpp, self.count)
        frame.to_csv(self.table, mode="a", header=False)
        lines = [json.dumps(one, ensure_ascii=False, allow_nan=False) for one in self._features(batch, frame)]
        self._file.write(("\n" if not self.count else ",\n") + ",\n".join(lines))
        self.count += len(batch)
        self.kept.append(batch)

    def _features(self, batch: Batch, frame: pd.DataFrame) -> list[dict[str, Any]]:
        first, px = batch.outlines.first, np.round(batch.outlines.px.astype(float), 2).tolist()
        kinds = frame["type"] if "type" in frame else pd.Series(NUCLEUS, frame.index)
        numbers = frame.drop(columns=["x_px", "y_px", "type"], errors="ignore").to_dict("records")
        features = []
        for i, (name, kind, values) in enumerate(zip(frame.index, kinds, numbers, strict=True)):
            ring = px[first[i] : first[i + 1]]
            colour = list(self.colours.get(str(kind), (128, 128, 128)))
            features.append({
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(name))),
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
                "properties": {
                    "objectType": "detection", "name": name,
                    "classification": {"name": str(kind), "color": colour}, "measurements": values,
                },
            })  # fmt: skip
        return features

    def whole(self) -> Batch:
        """All nuclei."""
        if not self.kept:
            return Batch(
                Outlines(np.empty((0, 2), np.float32), np.zeros(1, int), np.empty(0, int)), self._none()
            )
        rings = np.concatenate([np.diff(one.outlines.first) for one in self.kept])
        px = np.concatenate([one.outlines.px for one in self.kept])
        first = np.concatenate([[0], np.cumsum(rings)])
        outlines = Outlines(px, first, np.arange(len(rings)))
        return Batch(outlines, np.concatenate([one.probabilities for one in self.kept]))


def write_shapes(folder: Path, batch: Batch, classes: Sequence[str], mpp: float) -> None:
    """Write the nuclei as a SpatialData store: polygons in pixels and µm, and a table of types.

    Parameters
    ----------
    folder
        Mostly ``NAME.zarr``.
    batch
        All nuclei of a slide.
    classes
        Names of the types.
    mpp
        µm per full-resolution pixel.
    """
    import geopandas  # type: ignore[import-untyped,unused-ignore]
    import shapely  # type: ignore[import-untyped,unused-ignore]
    from anndata import AnnData
    from spatialdata import SpatialData
    from spatialdata.models import ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale

    frame = batch.frame(classes, mpp, 0)
    to = {"global": Identity(), "um": Scale([mpp, mpp], axes=("x", "y"))}
    shapes = geopandas.GeoDataFrame(geometry=shapely.from_wkb(wkb(batch.outlines)), index=frame.index)
    obs = frame.drop(columns=[f"p_{name}" for name in classes], errors="ignore")
    obs = obs.assign(
        region=pd.Categorical(["nuclei"] * len(obs), ["nuclei"]), instance=frame.index.to_numpy()
    )
    names = pd.DataFrame(index=pd.Index(classes if batch.probabilities.shape[1] else [], dtype=str))
    table = AnnData(X=batch.probabilities, obs=obs, var=names)
    parsed = TableModel.parse(table, region="nuclei", region_key="region", instance_key="instance")
    store = SpatialData(
        shapes={"nuclei": ShapesModel.parse(shapes, transformations=to)}, tables={"nuclei_types": parsed}
    )
    with warnings.catch_warnings():  # of zarr's own plans
        warnings.simplefilter("ignore", UserWarning)
        store.write(folder)


def counts_within(centres_px: Matrix, of: Vector, squares_px: Matrix, side_px: float, kinds: int) -> Matrix:
    """How many nuclei of each kind lie in each square of a grid.

    Parameters
    ----------
    centres_px
        Of the nuclei, shape (m, 2).
    of
        Kind of each, shape (m,).
    squares_px
        Centres of squares that do not overlap, shape (n, 2).
    side_px
        Of the squares.
    kinds
        Of nuclei.
    """
    from scipy.spatial import cKDTree

    found = np.zeros((len(squares_px), kinds))
    if not len(centres_px) or not len(squares_px):
        return found
    distance, row = cKDTree(squares_px).query(centres_px, p=np.inf)
    inside = distance <= side_px / 2
    np.add.at(found, (row[inside], np.asarray(of)[inside].astype(int)), 1)
    return found
