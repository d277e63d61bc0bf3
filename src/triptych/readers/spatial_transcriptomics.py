"""The layout of the first Spatial Transcriptomics studies: one folder for each kind of file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.delimited import ENDINGS, find, need_columns, read_counts, read_frame
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.pictures import SUFFIXES
from triptych.readers.scales import axis_scales, similarity
from triptych.readers.sections import About, section

PITCH_UM: Final = 200.0
SPOT_UM: Final = 100.0
DISAGREEMENT: Final = 0.02
SPOT_COLUMNS: Final = ("x", "y", "new_x", "new_y", "pixel_x", "pixel_y")


@dataclass(frozen=True)
class SpatialTranscriptomics:
    """``counts/S.tsv.gz``, ``spots/S_selection.tsv``, and if known labels, images and proportions.

    Spots are 100 µm wide and 200 µm apart on a square array; ``new_x`` and ``new_y`` count pitches.
    Donors are the leading letters of the samples' names.

    Parameters
    ----------
    proportions
        Which proportions of cell types become obsm:abundance.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Andersson et al. 2021, 10.1038/s41467-021-26271-2"

    proportions: Literal["major", "minor"] = "major"

    def recognises(self, path: Path) -> bool:
        """Whether there are the folders ``counts`` and ``spots``."""
        return (path / "counts").is_dir() and (path / "spots").is_dir()

    def samples(self, path: Path) -> list[str]:
        """Names of the files of counts."""
        names = (file.name for file in (path / "counts").iterdir())
        return sorted({_stem(name) for name in names if name.endswith(ENDINGS)})

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        names = choose(self.samples(path), options, str(path))
        return gather(names, lambda name, faults: self._section(path, name, faults), options, str(path))

    def _section(self, path: Path, name: str, faults: Faults) -> AnnData:
        spots = read_spots(path / "spots", name)
        counts, ids, genes = read_counts(_one(path / "counts", name))
        if not ids.is_unique:
            raise DataError(f"{_doubles(ids)} in its counts")
        keep = ids.isin(spots.index)  # spots that were not selected lie beside the tissue
        if not keep.any():
            raise DataError(f"none of the {len(ids)} spots of its counts is a selected spot of its selection")
        spots = spots.loc[ids[keep]]
        um, px = (
            spots[["new_x", "new_y"]].to_numpy(float) * PITCH_UM,
            spots[["pixel_x", "pixel_y"]].to_numpy(float),
        )
        obs = pd.DataFrame({"array_row": spots["y"], "array_col": spots["x"]}, index=spots.index)
        labels = find(path / "labels", f"{name}_labeled_coordinates")
        if labels is not None:
            obs["label"] = read_labels(labels).reindex(obs.index)
        obsm: dict[str, Any] = {"spatial": px, "spatial_um": um}
        shares = find(path / "proportions" / self.proportions, name)
        if shares is not None:
            known = _by_spot(read_frame(shares), shares).rename(columns=str.strip)
            obsm["abundance"] = known.reindex(obs.index).astype(float)
        about = About(
            donor=_donor(name),
            image=_image(path / "images", name),
            mpp=_mpp(name, um, px, faults),
            spot_um=SPOT_UM,
            pitch_um=PITCH_UM,
            lattice="square",
        )
        genes_frame = pd.DataFrame(index=genes)
        return section(name, counts[np.flatnonzero(keep)], obs=obs, genes=genes_frame, obsm=obsm, about=about)


def read_spots(folder: Path, name: str) -> pd.DataFrame:
    """Selected spots, indexed by ``XxY``; x and y are the column and row of the array.

    Raises
    ------
    DataError
        When the file or a column is missing, or a spot is there twice.
    """
    path = _one(folder, f"{name}_selection")
    spots = read_frame(path, index=False)
    need_columns(spots, (*SPOT_COLUMNS, "selected"), path)
    spots = spots[spots["selected"] == 1]
    for column in SPOT_COLUMNS:
        spots[column] = pd.to_numeric(spots[column], errors="coerce")
    if not np.all(np.isfinite(spots[["x", "y"]].to_numpy(float))):
        raise DataError(f"the file {path.name} has spots without an array position x, y")
    spots = spots.set_axis(_spot_ids(spots["x"], spots["y"]), axis=0)
    spots[["x", "y"]] = spots[["x", "y"]].round().astype(np.int64)
    return _by_spot(spots, path)


def read_labels(path: Path) -> pd.Series:
    """Labels of a pathologist, indexed by ``XxY``; positions are rounded to the array.

    Rows without a position name no spot and are left out.

    Raises
    ------
    DataError
        When a column is missing or two rows fall on one spot.
    """
    frame = read_frame(path, index=False)
    need_columns(frame, ("x", "y", "label"), path)
    x, y = pd.to_numeric(frame["x"], errors="coerce"), pd.to_numeric(frame["y"], errors="coerce")
    known = np.isfinite(x) & np.isfinite(y)
    labels = frame.loc[known, ["label"]].set_axis(_spot_ids(x[known], y[known]), axis=0)
    return _by_spot(labels, path)["label"]


def _spot_ids(x: pd.Series, y: pd.Series) -> pd.Index:
    whole = [pd.Index(np.asarray(v, float).round().astype(np.int64)).astype(str) for v in (x, y)]
    return whole[0] + "x" + whole[1]


def _by_spot(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not frame.index.is_unique:
        raise DataError(f"{_doubles(frame.index)} in {path.name}")
    return frame


def _doubles(ids: pd.Index) -> str:
    doubles = ids[ids.duplicated()].unique()
    return f"{len(doubles)} spots are there more than once ({listing(doubles, 5)})"


def _mpp(name: str, um: np.ndarray, px: np.ndarray, faults: Faults) -> float:
    """µm per pixel, or NaN when positions are missing or in a line; says so when x and y disagree."""
    if not faults.check(bool(np.all(np.isfinite(um))), "new_x and new_y of some spots are no numbers"):
        return float("nan")
    if not np.all(np.isfinite(px)):
        return float("nan")  # the door tells of coordinates that are missing
    x, y = axis_scales(um, px)
    if abs(x - y) > DISAGREEMENT * y:
        warnings.warn(
            f"{name}: a pixel is {x:.4g} µm along x and {y:.4g} µm along y; distances are of that accuracy.",
            TriptychWarning,
            stacklevel=2,
        )
    return similarity(um, px)[0]


def _one(folder: Path, stem: str) -> Path:
    path = find(folder, stem)
    if path is None:
        raise DataError(f"the file {folder.name}/{stem}.tsv (or .csv, or either with .gz) is missing")
    return path


def _image(folder: Path, name: str) -> str:
    found = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((str(file.resolve()) for file in found if file.is_file()), "")


def _stem(name: str) -> str:
    return next(name.removesuffix(end) for end in ENDINGS if name.endswith(end))


def _donor(name: str) -> str:
    letters = name[: next((i for i, char in enumerate(name) if not char.isalpha()), len(name))]
    return letters or name
