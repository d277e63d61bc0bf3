"""Stains and molecules that a manifest names, and what becomes of an instrument's when it gives a scale."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import Faults
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Matrix
from triptych.readers.affine import fitted
from triptych.readers.pictures import STORE
from triptych.readers.stains import stain_fields

FRAME_UM: Final = 0.01  # by which places may differ and still be in one frame


def check_files(folder: Path, named: Mapping[str, str], faults: Faults) -> None:
    """Note which files are not there.

    Parameters
    ----------
    folder
        Of the manifest.
    named
        Words for messages → file, ``FILE::I`` for a channel of it.
    faults
        Receives them.
    """
    for words, file in named.items():
        place = folder / file.partition(STORE)[0]
        faults.check(place.is_file(), f"{words}: there is no file {place}")


def rescale(table: AnnData, about: pd.DataFrame, name: str, mpp: float) -> None:
    """Measure places by the scale of the manifest; both are changed in place.

    What an instrument placed in a frame of µm that is then another one is left out, which is told.
    """
    um, px = table.obsm.get("spatial_um"), np.asarray(table.obsm["spatial"], float)
    about["mpp"] = mpp
    table.obsm["spatial_um"] = px * mpp
    if um is None:  # what is placed in pixels moves with them
        _divide(about, mpp)
        return
    lost = [column for column in ("stains", "transcripts") if about[column].iloc[0]]
    if lost and not np.allclose(um, px * mpp, rtol=0, atol=FRAME_UM):
        about[["stains", "stain_matrix", "transcripts"]] = ""
        warnings.warn(
            f"{name}: mpp of the manifest replaces the instrument's own µm, in which its "
            f"{' and '.join(lost)} are placed: they are left out.",
            TriptychWarning,
            stacklevel=2,
        )


def _divide(about: pd.DataFrame, mpp: float) -> None:
    if about["stain_matrix"].iloc[0]:
        matrix = np.array(json.loads(about["stain_matrix"].iloc[0]), float)
        matrix[:, :2] /= mpp
        about["stain_matrix"] = json.dumps(matrix.tolist())


def add_files(
    table: AnnData, about: pd.DataFrame, folder: Path, *, stains: Mapping[str, str], transcripts: str
) -> None:
    """Name the files of a sample in its row, instead of what its reader found.

    Parameters
    ----------
    table
        Of the sample.
    about
        Its row, changed in place.
    folder
        Of the manifest.
    stains
        Name of a channel → file, in full-resolution pixels.
    transcripts
        File, in the frame of obsm:spatial_um; or empty.

    Raises
    ------
    DataError
        When the places do not tell how µm become pixels.
    """
    if stains:
        files = {name: _absolute(folder, file) for name, file in stains.items()}
        fields: Mapping[str, Any] = stain_fields(files, _to_pixels(table, float(about["mpp"].iloc[0])))
        for column, text in fields.items():
            about[column] = text
    if transcripts:
        about["transcripts"] = _absolute(folder, transcripts)


def _absolute(folder: Path, file: str) -> str:
    path, store, part = file.partition(STORE)
    return f"{(folder / path).absolute()}{store}{part}"


def _to_pixels(table: AnnData, mpp: float) -> Matrix:
    """The matrix from µm to full-resolution pixels, which are the µm where none are known; shape (2, 3)."""
    px, um = np.asarray(table.obsm["spatial"], float), table.obsm.get("spatial_um")
    if um is None:
        return np.eye(2, 3)
    if np.isfinite(mpp) and np.allclose(um, px * mpp, rtol=0, atol=FRAME_UM):
        return np.eye(2, 3) / mpp
    matrix, residual = fitted(um, px)
    if residual > 1:
        raise DataError(
            f"stains: obsm:spatial and obsm:spatial_um are no affine picture of each other "
            f"({residual:.3g} px remain), so the pixels of the stains are not known: give mpp"
        )
    return matrix
