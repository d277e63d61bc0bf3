"""The flat files of a CosMx slide (NanoString, AtoMx), or a folder of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.cells import described, placed
from triptych.readers.cosmx_counts import IDS, cell_ids, read_expression
from triptych.readers.cosmx_scale import AREA_PX, AREA_UM2, scale_of_areas, scale_of_fovs
from triptych.readers.delimited import ENDINGS, find, need_columns, read_frame
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.sections import About, section

COUNTS, CELLS, FIELDS = "_exprMat_file", "_metadata_file", "_fov_positions_file"
MOLECULES, OUTLINES = "_tx_file", "-polygons"
FOLDERS: Final = ("", "*/", "*/*[Ff]lat*[Ff]iles*/")  # of the slides: this one, its folders, as released
CENTRE: Final = ("CenterX_global_px", "CenterY_global_px")
NOT_KEPT: Final = ("cell_ID", "cell", "cell_id", *CENTRE, AREA_PX, AREA_UM2)
Slides = dict[str, tuple[Path, str]]


@dataclass(frozen=True)
class Cosmx:
    """``S_exprMat_file.csv``, ``S_metadata_file.csv`` and ``S_fov_positions_file.csv`` of a slide S.

    Cells are named ``FOV_CELL``; transcripts outside of cells (cell 0) and controls are left out. Coordinates
    are the global pixels as they are: in some versions y points up, and some are negative. The scale is that
    between px and mm of the fields of view, else between the areas of the cells in px and µm²; where no file
    has both there is none, and a manifest can give it as mpp. There are no stains: the instrument's images
    are one a field of view; a manifest can name stitched ones.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def recognises(self, path: Path) -> bool:
        """Whether the folder or one of its folders holds the counts or the cells of a slide."""
        return path.is_dir() and bool(_slides(path))

    def samples(self, path: Path) -> list[str]:
        """Names of the slides."""
        return list(_slides(path))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        slides = _slides(path)
        names = choose(slides, options, str(path))
        return gather(names, lambda name, faults: _section(*slides[name], name, faults), options, str(path))


def _slides(path: Path) -> Slides:
    """Name of each slide → its folder and the start of its files' names."""
    for pattern in FOLDERS:
        files = [file for kind in (COUNTS, CELLS) for file in path.glob(f"{pattern}*{kind}.*sv*")]
        found = sorted({(file.parent, _stem(file)) for file in files if file.name.endswith(ENDINGS)})
        if found:
            stems = [stem for _, stem in found]
            return {
                stem if stems.count(stem) == 1 else f"{folder.relative_to(path).parts[0]}_{stem}": (
                    folder,
                    stem,
                )
                for folder, stem in found
            }
    return {}


def _stem(file: Path) -> str:
    return file.name.rpartition(COUNTS if COUNTS in file.name else CELLS)[0]


def _section(folder: Path, stem: str, name: str, faults: Faults) -> AnnData:
    matrix, metadata = find(folder, stem + COUNTS), find(folder, stem + CELLS)
    if matrix is None or metadata is None:
        raise DataError(f"the file {stem}{COUNTS if matrix is None else CELLS}.csv (or .csv.gz) is missing")
    cells = _cells(metadata)
    counts, ids, genes = read_expression(matrix)
    mpp = _scale(find(folder, stem + FIELDS), cells, metadata, name=name, faults=faults)
    keep = placed(name, ids, cells.index, (matrix.name, metadata.name))
    kept = cells.loc[ids[keep]]
    return section(
        name,
        counts if keep.all() else counts[np.flatnonzero(keep)],
        obs=_columns(kept, mpp),
        genes=pd.DataFrame(index=genes),
        obsm={"spatial": kept[list(CENTRE)].apply(pd.to_numeric, errors="coerce").to_numpy(float)},
        about=About(
            mpp=mpp,
            transcripts=_path(find(folder, stem + MOLECULES)),
            cell_boundaries=_path(find(folder, stem + OUTLINES)),
        ),
    )


def _cells(path: Path) -> pd.DataFrame:
    frame = read_frame(path, index=False)
    need_columns(frame, (*IDS, *CENTRE), path)
    ids = cell_ids(frame, path)
    return frame.set_axis(ids, axis=0)[ids.notna()]


def _columns(cells: pd.DataFrame, mpp: float) -> pd.DataFrame:
    """What is known of the cells, areas in µm²."""
    obs = described(cells.drop(columns=list(NOT_KEPT), errors="ignore"))
    obs["fov"] = pd.to_numeric(cells["fov"]).astype(np.int64)
    if AREA_UM2 in cells:
        obs["cell_area_um2"] = pd.to_numeric(cells[AREA_UM2], errors="coerce")
    elif AREA_PX in cells and np.isfinite(mpp):
        obs["cell_area_um2"] = pd.to_numeric(cells[AREA_PX], errors="coerce") * mpp**2
    return obs


def _scale(fields: Path | None, cells: pd.DataFrame, metadata: Path, *, name: str, faults: Faults) -> float:
    """µm per pixel; NaN when no file gives it, which is told."""
    before = len(faults.found)
    mpp = float("nan")
    if fields is not None:
        mpp = scale_of_fovs(read_frame(fields, index=False), fields, faults)
    if np.isnan(mpp) and len(faults.found) == before:
        mpp = scale_of_areas(cells, metadata, faults)
    if np.isnan(mpp) and len(faults.found) == before:
        seen = listing(path.name for path in (fields, metadata) if path is not None)
        warnings.warn(
            f"{name}: {seen} give no lengths in both px and µm or mm, so the size of a pixel is not known "
            "and there is no scale unless a manifest gives mpp.",
            TriptychWarning,
            stacklevel=2,
        )
    return mpp


def _path(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())
