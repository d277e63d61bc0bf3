"""SpatialData stores: a table, the shapes that it annotates, and images in common coordinate systems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
import zarr
from anndata import AnnData
from anndata.io import read_zarr

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.protocols import Matrix
from triptych.core.slots import UNS
from triptych.readers.door import admit
from triptych.readers.h5ad import adopt, foreign, pick
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.pictures import STORE
from triptych.readers.sections import about_frame, about_of

MICRONS: Final = (
    "um",
    "µm",
    "μm",
    "micron",
    "microns",
    "micrometer",
    "micrometers",
    "micrometre",
    "micrometres",
)
AXES: Final = ("x", "y")


@dataclass(frozen=True)
class SpatialDataStore:
    """A ``.zarr`` store; each region that the table annotates is a sample.

    Coordinates are obsm:spatial of the table, else the centroids of the region's shapes, brought into the
    pixels of the largest image that shares a coordinate system with them. A coordinate system in
    micrometres gives the scale. A store that is a bare AnnData table is read like an ``.h5ad`` file.

    Parameters
    ----------
    table
        Name of the table; empty for the first.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Marconato et al. 2024, 10.1038/s41592-024-02212-x"

    table: str = ""

    def recognises(self, path: Path) -> bool:
        """Whether it is the folder of a zarr group."""
        return path.is_dir() and any((path / mark).is_file() for mark in ("zarr.json", ".zgroup"))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the regions asked for.

        Raises
        ------
        DataError
            With every fault of every region.
        MissingExtraError
            When spatialdata is not installed.
        """
        if _root(path).get("encoding-type") == "anndata":
            whole = adopt(_plain(path), path.stem)
            wanted = choose([str(s) for s in whole.uns[UNS]["samples"].index], options, str(path))
            return admit(pick(whole, wanted), options, str(path))
        sdata = _open(path)
        table = self._table(sdata, path)
        attrs = table.uns.get("spatialdata_attrs", {})
        region, instance = attrs.get("region_key"), attrs.get("instance_key")
        if region not in table.obs or instance not in table.obs:
            raise DataError(f"{path}: its table annotates no region, so its rows have no place.")
        regions = table.obs[region].astype(str)

        def read_one(name: str, _: Faults) -> AnnData:
            rows = table[(regions == name).to_numpy()].copy()
            return _section(sdata, path, name, rows, str(instance))

        names = choose(sorted(regions.unique()), options, str(path))
        return gather(names, read_one, options, str(path))

    def _table(self, sdata: Any, path: Path) -> AnnData:
        names = list(sdata.tables)
        if not names or (self.table and self.table not in names):
            raise DataError(f"{path}: there is no table {self.table}; of tables there is {listing(names)}.")
        return sdata.tables[self.table or names[0]]


def _root(path: Path) -> dict[str, Any]:
    try:
        return dict(zarr.open_group(path, mode="r").attrs)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: not a readable zarr group ({error}).") from error


def _plain(path: Path) -> AnnData:
    try:
        return read_zarr(path)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: not a readable table ({error}).") from error


def _open(path: Path) -> Any:
    spatialdata = need("spatialdata", "pixels")
    try:
        return spatialdata.read_zarr(path)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: not a readable SpatialData store ({error}).") from error


def _section(sdata: Any, path: Path, name: str, rows: AnnData, instance: str) -> AnnData:
    """One region, its coordinates in pixels of its image."""
    shapes = sdata.shapes.get(name)
    if "spatial" not in rows.obsm:
        rows.obsm["spatial"] = _centroids(shapes, rows.obs[instance], name)
    keys = {"sample"} & set(rows.obs.columns)
    rows.obs = rows.obs.drop(columns=keys)
    table = foreign(rows, name)
    about = about_of(table.uns[UNS]["samples"], name)
    image, to_image, mpp = _image_of(sdata, shapes)
    changes: dict[str, Any] = {"image": f"{path.resolve()}{STORE}images/{image}"} if image else {}
    xy = np.asarray(table.obsm["spatial"], float) @ to_image[:2, :2].T + to_image[:2, 2]
    table.obsm["spatial"] = xy
    stretch = float(np.sqrt(abs(np.linalg.det(to_image[:2, :2]))))
    measured = about.mpp / stretch
    changes["mpp"] = mpp if np.isfinite(mpp) else measured
    frame = about_frame({name: about})
    table.uns[UNS]["samples"] = frame.assign(**changes)
    return table


def _centroids(shapes: Any, instances: pd.Series, name: str) -> Matrix:
    """Centroids of the annotated shapes, shape (n, 2)."""
    if shapes is None:
        raise DataError("its table has no obsm:spatial and the region is no element of shapes")
    absent = ~instances.isin(shapes.index).to_numpy()
    if absent.any():
        raise DataError(f"{int(absent.sum())} rows of its table annotate shapes that are not in {name}")
    centres = shapes.geometry.loc[instances.to_numpy()].centroid
    return np.column_stack([centres.x.to_numpy(), centres.y.to_numpy()])


def _image_of(sdata: Any, shapes: Any) -> tuple[str, Matrix, float]:
    """The largest image near the shapes, the affine map of coordinates to its pixels, and µm per pixel."""
    transformations = need("spatialdata.transformations", "pixels")
    own = {} if shapes is None else _maps(transformations, shapes)
    best, size, chosen = "", 0, {}
    for name, image in sdata.images.items():
        maps = _maps(transformations, image)
        height, width = _extent(image)
        if (shapes is None or own.keys() & maps.keys()) and height * width > size:
            best, size, chosen = name, height * width, maps
    shared = [system for system in chosen if system in own]
    to_image = np.linalg.inv(chosen[shared[0]]) @ own[shared[0]] if shared else np.eye(3)
    scale = _microns(chosen) if best else _microns(own)
    if np.isnan(scale) and best:
        scale = _microns(own) / float(np.sqrt(abs(np.linalg.det(to_image[:2, :2]))))
    return best, to_image, scale


def _maps(transformations: ModuleType, element: Any) -> dict[str, Matrix]:
    """For each coordinate system the affine matrix (3, 3) from the element's own coordinates."""
    found = transformations.get_transformation(element, get_all=True)
    return {str(system): t.to_affine_matrix(AXES, AXES) for system, t in found.items()}


def _microns(maps: dict[str, Matrix]) -> float:
    """µm per unit of the element, if a coordinate system is in micrometres."""
    for system, matrix in maps.items():
        if system.lower() in MICRONS:
            return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    return float("nan")


def _extent(image: Any) -> tuple[int, int]:
    """Height and width of the finest scale."""
    if hasattr(image, "children") and not hasattr(image, "sizes"):
        image = image["scale0"]["image"]
    elif "y" not in getattr(image, "sizes", {}):
        image = next(iter(image["scale0"].data_vars.values()))
    return int(image.sizes["y"]), int(image.sizes["x"])
