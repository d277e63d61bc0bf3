"""The output folder of Space Ranger (Visium), or a folder of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.readers.delimited import find, need_columns, read_frame, readable
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.pictures import SUFFIXES, TIFF
from triptych.readers.scales import VISIUM_PITCH_UM, VISIUM_SPOT_UM, visium_mpp
from triptych.readers.sections import About, section
from triptych.readers.spaceranger import MATRIX, read_matrix

POSITIONS: Final = (
    "barcode",
    "in_tissue",
    "array_row",
    "array_col",
    "pxl_row_in_fullres",
    "pxl_col_in_fullres",
)
NOTES: Final = ("truth", "metadata", "annotations")  # tables of labels that a user puts beside
SCALES: Final = "scalefactors_json.json"


@dataclass(frozen=True)
class Visium:
    """``filtered_feature_bc_matrix(.h5)`` and ``spatial/``: spots of 55 µm, 100 µm apart, hexagonal.

    Only spots in tissue and gene-expression features are kept. Labels are read from ``truth.csv``,
    ``metadata.csv`` or ``annotations.csv`` (barcode first) in the sample's folder. The image is a
    full-resolution one beside (``image.*``, ``*_image.tif``), else ``tissue_hires_image.png``.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def recognises(self, path: Path) -> bool:
        """Whether the folder, its ``outs``, or one of its folders holds a matrix or positions of spots."""
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
    """Name of each sample → the folder that holds its matrix."""
    own = _outs(path)
    if own is not None:
        return {(path.parent if path.name == "outs" else path).resolve().name: own}
    if not path.is_dir():
        return {}
    inner = {child.name: _outs(child) for child in sorted(path.iterdir()) if child.is_dir()}
    return {name: folder for name, folder in inner.items() if folder is not None}


def _outs(path: Path) -> Path | None:
    for folder in (path, path / "outs"):
        marks = (f"{MATRIX}.h5", MATRIX, f"spatial/{SCALES}", "spatial/tissue_positions.csv")
        if any((folder / mark).exists() for mark in (*marks, "spatial/tissue_positions_list.csv")):
            return folder
    return None


def _section(folder: Path, name: str, faults: Faults) -> AnnData:
    scales = _scalefactors(folder / "spatial", faults)
    positions = read_positions(folder / "spatial")
    counts, barcodes, genes = read_matrix(folder)
    absent = barcodes.difference(positions.index)
    if len(absent):
        faults.add(f"{len(absent)} barcodes of its matrix have no position: {listing(absent, 3)}")
    keep = barcodes.isin(positions.index[positions["in_tissue"] == 1])
    places = positions.reindex(barcodes[keep]) if barcodes.is_unique else None
    if places is None:
        raise DataError(f"barcodes are there more than once: {listing(barcodes[barcodes.duplicated()], 5)}")
    obs = places[["array_row", "array_col"]].astype(np.int64).join(_notes(folder, places.index, faults))
    px = places[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float)
    image, scale = _image(folder, scales)
    about = About(
        image=image,
        image_scale=scale,
        mpp=visium_mpp(obs["array_row"].to_numpy(), obs["array_col"].to_numpy(), px),
        spot_um=VISIUM_SPOT_UM,
        pitch_um=VISIUM_PITCH_UM,
        lattice="hex",
    )
    counts = sp.csr_matrix(counts)[np.flatnonzero(keep)]
    return section(name, counts, obs=obs, genes=genes, obsm={"spatial": px}, about=about)


def read_positions(folder: Path) -> pd.DataFrame:
    """Array positions and full-resolution pixels, indexed by barcode; with a header or, before 2.0, without.

    Raises
    ------
    DataError
        When there is no such file, or a column or value is missing.
    """
    path, header = folder / "tissue_positions.csv", True
    if not path.is_file():
        path, header = folder / "tissue_positions_list.csv", False
    if not path.is_file():
        raise DataError("the file spatial/tissue_positions.csv (or tissue_positions_list.csv) is missing")
    frame = read_frame(path, header=header, index=False)
    if not header and len(frame.columns) == len(POSITIONS):
        frame.columns = pd.Index(POSITIONS)
    need_columns(frame, POSITIONS, path)
    frame = frame.set_index("barcode")
    numbers: pd.DataFrame = frame[list(POSITIONS[1:])].apply(pd.to_numeric, errors="coerce")
    bad = numbers.isna().any(axis=1)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} rows of {path.name} have no numbers: {listing(frame.index[bad], 3)}"
        )
    if not numbers.index.is_unique:
        doubles = numbers.index[numbers.index.duplicated()]
        raise DataError(
            f"{len(doubles)} barcodes are there more than once in {path.name}: {listing(doubles, 3)}"
        )
    return numbers


def _scalefactors(folder: Path, faults: Faults) -> dict[str, float]:
    path = folder / SCALES
    if not faults.check(path.is_file(), f"the file spatial/{SCALES} is missing"):
        return {}
    with readable(path):
        text = path.read_text(encoding="utf-8")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        faults.add(f"the file {path.name} is no JSON ({error})")
        return {}
    if not isinstance(found, dict):
        faults.add(f"the file {path.name} has no names and values")
        return {}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


def _image(folder: Path, scales: dict[str, float]) -> tuple[str, float]:
    """The best image and its pixels per full-resolution pixel."""
    places = [folder, folder.parent] if folder.name == "outs" else [folder]
    for place in places:
        for file in sorted(place.iterdir()):
            suffix = file.suffix.lower()
            named = file.stem == "image" or (file.stem.endswith("_image") and suffix in TIFF)
            if named and suffix in SUFFIXES:
                return str(file.resolve()), 1.0
    hires = folder / "spatial" / "tissue_hires_image.png"
    if hires.is_file() and "tissue_hires_scalef" in scales:
        return str(hires.resolve()), scales["tissue_hires_scalef"]
    return "", 1.0


def _notes(folder: Path, barcodes: pd.Index, faults: Faults) -> pd.DataFrame:
    """Columns of a table of labels beside the matrix, for each barcode."""
    places = [folder, folder.parent] if folder.name == "outs" else [folder]
    files = [file for place in places for name in NOTES if (file := find(place, name)) is not None]
    if not files:
        return pd.DataFrame(index=barcodes)
    notes = read_frame(files[0])
    if not notes.index.is_unique:
        faults.add(f"barcodes are there more than once in {files[0].name}")
        return pd.DataFrame(index=barcodes)
    faults.check(bool(notes.index.isin(barcodes).any()), f"no barcode of {files[0].name} is in the matrix")
    taken = {"array_row", "array_col", "sample"}
    return notes.drop(columns=list(taken & set(notes.columns))).reindex(barcodes)
