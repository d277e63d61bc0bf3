"""What an encoder of crops is given: the stains and molecules of every section, not yet cropped."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.protocols import Crops, Indices, Matrix, Molecules
from triptych.core.settings import cache_dir
from triptych.maths.crops import asked_for
from triptych.pipeline.cache import PLANES
from triptych.pipeline.study import STUDY, Study
from triptych.readers.affine import scale, transform
from triptych.readers.transcripts import cell_rows, read_molecules
from triptych.tiles.planes import open_plane


def crops_of(study: Study, encoder: Any, unit: str) -> Crops:
    """The stains and molecules that an encoder sees, in pixels of the stains.

    Where a section has no stains, pixels are those of its full-resolution image.

    Parameters
    ----------
    study
        What was read.
    encoder
        Takes crops.
    unit
        A sample, or the study.

    Raises
    ------
    DataError
        When a section lacks a stain, nothing gives the size of a pixel, or files are damaged.
    """
    names = study.members(unit)
    chosen = _stains(study, encoder, names) if "stains" in encoder.sees else ()
    n = len(study.rows(unit))
    centres, sample = np.empty((n, 2)), np.empty(n, np.int64)
    matrices = [_matrix(study, name) for name in names]
    for code, (name, matrix) in enumerate(zip(names, matrices, strict=True)):
        rows = study.rows(name) if unit == STUDY else np.arange(n)
        centres[rows], sample[rows] = transform(matrix, study.places(name).um), code
    genes = study.table.var_names
    return Crops(
        centres_px=centres,
        sample=sample,
        mpp=tuple(1 / scale(matrix) if _physical(study) else float("nan") for matrix in matrices),
        stains=chosen,
        pixels=tuple(_pixels(study, name, chosen) for name in names),
        genes=genes.to_numpy().astype(str),
        molecules=tuple(
            _molecules(study, name, matrix, study.rows(name) if unit == STUDY else np.arange(n))
            for name, matrix in zip(names, matrices, strict=True)
        )
        if "molecules" in encoder.sees
        else (),
    )


def _physical(study: Study) -> bool:
    return "spatial_um" in study.table.obsm


def _matrix(study: Study, name: str) -> Matrix:
    """From µm, or full-resolution pixels where no µm are known, to pixels of the stains; shape (3, 3).

    Raises
    ------
    DataError
        When there are µm and nothing says how many a pixel has.
    """
    about = study.about.loc[name].to_dict()
    written = str(about.get("stain_matrix", ""))
    if written:
        return np.vstack([np.array(json.loads(written), float), [0.0, 0.0, 1.0]])
    if not _physical(study):
        return np.eye(3)
    mpp = float(about["mpp"])
    if not np.isfinite(mpp):
        raise DataError(f"{name}: nothing gives the µm per pixel of crops.", "Give mpp in a study manifest.")
    return np.diag([1 / mpp, 1 / mpp, 1.0])


def _named(study: Study, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(str(study.about.loc[name, "stains"]))
    return found


def _stains(study: Study, encoder: Any, names: Any) -> tuple[str, ...]:
    """The channels that the encoder asks for, or all of the first section but those it names with a dash.

    Every section must have them.

    Raises
    ------
    DataError
        With the sections that lack some.
    """
    held = _named(study, names[0])
    asked, faults = asked_for(encoder.stains, tuple(held)), Faults("stains")
    faults.check(bool(asked), f"{names[0]} has only {listing(held)}, which is left out")
    for name in names:
        held = _named(study, name)
        missing = [stain for stain in asked if stain not in held]
        faults.check(not missing, f"{name} has no {listing(missing)}; it has {listing(held)}")
    faults.raise_if_any(DataError, "Name the channels that all sections have with stains.")
    return asked


def _pixels(study: Study, name: str, chosen: tuple[str, ...]) -> tuple[NDArray[Any], ...]:
    if not chosen:
        return ()
    named = _named(study, name)
    return tuple(open_plane(named[stain], cache_dir() / PLANES) for stain in chosen)


def _molecules(study: Study, name: str, matrix: Matrix, rows: Indices) -> Molecules:
    """The single transcripts of a section; each with the row, in the unit, of its cell."""
    about, genes = study.about.loc[name].to_dict(), pd.Index(study.table.var_names.astype(str))
    mpp = float(about["mpp"]) if _physical(study) else float("nan")
    found = read_molecules(str(about["transcripts"]), genes, mpp=mpp)
    cell = np.full(len(found.gene), -1, np.int64)
    if found.cell is not None:
        inside = cell_rows(study.table.obs_names[study.rows(name)], name, found.cell)
        cell = np.where(inside >= 0, rows[inside], -1)
    px = transform(matrix, found.um).astype(np.float32)
    return Molecules(px, found.gene, cell)
