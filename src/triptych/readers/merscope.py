"""The output folder of a MERSCOPE region (Vizgen), or a folder of them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import Faults
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Matrix
from triptych.readers.affine import UNEVEN, read_affine, scale, transform, unevenness
from triptych.readers.cells import described, placed
from triptych.readers.delimited import find, need_columns, read_counts, read_frame
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.merscope_polygons import BOUNDARIES, centres
from triptych.readers.pictures import SUFFIXES
from triptych.readers.sections import About, section
from triptych.readers.stains import stain_fields

COUNTS: Final = "cell_by_gene"
CELLS: Final = "cell_metadata"
IMAGES: Final = ("images", "input_images")
MOSAIC: Final = re.compile(r"mosaic_(.+?)(?:_z(\d+))?\.tiff?")
NUCLEI: Final = "DAPI"
TRANSFORM: Final = "micron_to_mosaic_pixel_transform.csv"
MOLECULES: Final = "detected_transcripts"
BLANKS: Final = ("Blank-", "Blank_")
CENTRE: Final = ("center_x", "center_y")
EXTENT: Final = ("min_x", "min_y", "max_x", "max_y")
OUTSIDE_UM: Final = 10.0  # a cell; the centre of one at the rim may lie a little outside the mosaic


@dataclass(frozen=True)
class Merscope:
    """``cell_by_gene.csv``, ``cell_metadata.csv`` and ``images/micron_to_mosaic_pixel_transform.csv``.

    Blanks are left out. Centres are µm in the files and become obsm:spatial_um as they are, and pixels of the
    mosaic by the transform, which also gives the scale. Without ``cell_metadata`` the centres come from
    polygons: ``cell_boundaries.parquet`` or another parquet of EntityID and Geometry. Every stain
    ``mosaic_STAIN_zN.tif`` of ``images`` (or ``input_images``) is read in its middle plane; there is no image
    unless ``image.*``, in pixels of the mosaic, lies beside the tables.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def recognises(self, path: Path) -> bool:
        """Whether the folder or one of its folders holds the counts or the cells of a region."""
        return path.is_dir() and bool(_folders(path))

    def samples(self, path: Path) -> list[str]:
        """Names of the folders."""
        return list(_folders(path))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        folders = _folders(path)
        names = choose(folders, options, str(path))
        return gather(names, lambda name, faults: _section(folders[name], name, faults), options, str(path))


def _folders(path: Path) -> dict[str, Path]:
    """Name of each sample → the folder that holds its tables."""
    if _is_region(path):
        return {path.resolve().name: path}
    if not path.is_dir():
        return {}
    return {child.name: child for child in sorted(path.iterdir()) if child.is_dir() and _is_region(child)}


def _is_region(path: Path) -> bool:
    return find(path, COUNTS) is not None or (
        _transform_file(path) is not None and find(path, CELLS) is not None
    )


def _transform_file(folder: Path) -> Path | None:
    places = (folder / "images" / TRANSFORM, folder / TRANSFORM)
    return next((place for place in places if place.is_file()), None)


def _section(folder: Path, name: str, faults: Faults) -> AnnData:
    matrix = _transform(folder, name, faults)
    file = find(folder, COUNTS)
    if file is None:
        raise DataError(f"the file {COUNTS}.csv (or .csv.gz) is missing")
    counts, ids, genes = read_counts(file)
    places, source = _places(folder, ids)
    keep = placed(name, ids, places.index, (file.name, source.name))
    cells = places.loc[ids[keep]]
    um = cells[list(CENTRE)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if matrix is not None:
        _check_inside(transform(matrix, um), scale(matrix), cells.index, faults)
    matrix = np.eye(3) if matrix is None else matrix
    real = ~genes.str.startswith(BLANKS)
    return section(
        name,
        counts[np.flatnonzero(keep)][:, np.flatnonzero(real)],
        obs=_columns(cells),
        genes=pd.DataFrame(index=genes[real]),
        obsm={"spatial": transform(matrix, um), "spatial_um": um},
        about=_about(folder, matrix, boundaries=_outlines(folder, source)),
    )


def _transform(folder: Path, name: str, faults: Faults) -> Matrix | None:
    """The matrix from µm to pixels of the mosaic, shape (3, 3)."""
    path = _transform_file(folder)
    if path is None:
        faults.add(
            f"the file images/{TRANSFORM} is missing, and nothing else gives the size of a pixel: "
            "put it there or beside the tables"
        )
        return None
    try:
        matrix = read_affine(path)
    except DataError as error:
        faults.add(error.message)
        return None
    uneven = unevenness(matrix)
    if uneven > UNEVEN:
        warnings.warn(
            f"{name}: the matrix of {path.name} stretches or shears by {100 * uneven:.1f} %: "
            "windows of the mosaic are not square in the tissue.",
            TriptychWarning,
            stacklevel=2,
        )
    return matrix


def _places(folder: Path, ids: pd.Index) -> tuple[pd.DataFrame, Path]:
    """Centres in µm and whatever else is known of the cells; and the file that says so."""
    file = find(folder, CELLS)
    if file is None:
        return centres(folder, ids)
    frame = read_frame(file)
    need_columns(frame, CENTRE, file)
    return frame, file


def _columns(cells: pd.DataFrame) -> pd.DataFrame:
    known = described(cells.drop(columns=[*CENTRE, *EXTENT], errors="ignore"))
    return known.rename(columns={"volume": "cell_volume_um3"})


def _check_inside(px: Matrix, px_per_um: float, ids: pd.Index, faults: Faults) -> None:
    outside = np.any(px < -OUTSIDE_UM * px_per_um, axis=1)
    if outside.any():
        x, y = px[outside][0]
        faults.add(
            f"{int(outside.sum())} of {len(ids)} cells lie outside the mosaic, the first, "
            f"{ids[outside][0]}, at ({x:.0f}, {y:.0f}) px: {TRANSFORM} must be that of this region"
        )


def _outlines(folder: Path, source: Path) -> Path | None:
    """The polygons, told by their name alone where they are not needed for the centres."""
    if source.suffix == ".parquet":
        return source
    named = [*folder.glob(BOUNDARIES), *sorted(folder.glob("*micron_space.parquet"))]
    return named[0] if named else None


def _about(folder: Path, matrix: Matrix, *, boundaries: Path | None) -> About:
    pictures = [file for file in sorted(folder.glob("image.*")) if file.suffix.lower() in SUFFIXES]
    return About(
        image=_path(pictures[0] if pictures else None),
        mpp=1 / scale(matrix),
        transcripts=_path(find(folder, MOLECULES)),
        cell_boundaries=_path(boundaries),
        **stain_fields(_stains(folder), matrix),
    )


def _stains(folder: Path) -> dict[str, str]:
    """Each stain in the middle of the planes that all have, else of its own; DAPI first."""
    found = (_planes(folder / name) for name in IMAGES)
    planes = next((stains for stains in found if stains), {})
    shared = set.intersection(*map(set, planes.values())) if planes else set()
    stains = {}
    for name in sorted(planes, key=lambda name: (name != NUCLEI, name)):
        depths = sorted(shared or planes[name])
        stains[name] = _path(planes[name][depths[len(depths) // 2]])
    return stains


def _planes(images: Path) -> dict[str, dict[int, Path]]:
    """Stain → plane z → file."""
    planes: dict[str, dict[int, Path]] = {}
    for file in sorted(images.glob("mosaic_*.tif*")):
        if match := MOSAIC.fullmatch(file.name):
            planes.setdefault(match[1], {})[int(match[2] or 0)] = file
    return planes


def _path(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())
