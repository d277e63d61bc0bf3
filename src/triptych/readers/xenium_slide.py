"""Places of a Xenium bundle: from micrometres to pixels of the stained image, and what is known of it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Matrix
from triptych.readers.affine import UNEVEN, read_affine, scale, transform, unevenness
from triptych.readers.sections import About
from triptych.readers.stains import stain_fields
from triptych.readers.xenium_bundle import EXPERIMENT, Bundle, pixel_um
from triptych.readers.xenium_stains import named


def frame_of(bundle: Bundle, name: str, faults: Faults) -> tuple[Matrix, About]:
    """The matrix from micrometres to pixels, and the files.

    With a stained image H&E the pixels are its own, A⁻¹·(µm / pixel size) for the matrix A that maps them to
    the morphology image; else they are those of the morphology image; of a part of a bundle without
    ``experiment.xenium`` they are the micrometres themselves.

    Parameters
    ----------
    bundle
        Where the files are.
    name
        Of the sample, for warnings.
    faults
        Receives what is missing or damaged.

    Returns
    -------
    Shape (3, 3), and what is known of the section.
    """
    size = _attempt(bundle.experiment, faults)
    he, to_he = _stained(bundle, name, faults)
    if size is None and he is not None and bundle.experiment is None:
        faults.add(f"the file {EXPERIMENT} is missing, whose pixel_size places {he.name}")
    if bundle.experiment is None and bundle.morphology and he is None:
        _tell_unplaced(bundle, name)
    own = np.diag([1 / size, 1 / size, 1.0]) if size is not None else np.eye(3)
    matrix = to_he @ own
    about = About(
        image=_path(he),
        mpp=1 / scale(matrix),
        transcripts=_path(bundle.transcripts),
        cell_boundaries=_path(bundle.cell_boundaries),
        nucleus_boundaries=_path(bundle.nucleus_boundaries),
        outline_matrix=json.dumps(matrix[:2].tolist()) if bundle.nucleus_boundaries else "",
        **stain_fields(named(bundle.morphology) if size is not None else {}, own),
    )
    return matrix, about


def pixels(matrix: Matrix, um: Matrix) -> Matrix:
    """Places in pixels, shape (n, 2)."""
    return transform(matrix, um)


def _tell_unplaced(bundle: Bundle, name: str) -> None:
    warnings.warn(
        f"{name}: {listing(file.name for file in bundle.morphology)} are left out: the file {EXPERIMENT} is "
        "missing, whose pixel_size places them.",
        TriptychWarning,
        stacklevel=2,
    )


def _attempt(path: Path | None, faults: Faults) -> float | None:
    if path is None:
        return None
    try:
        return pixel_um(path)
    except DataError as error:
        faults.add(error.message)
        return None


def _stained(bundle: Bundle, name: str, faults: Faults) -> tuple[Path | None, Matrix]:
    """The stained image and the matrix from pixels of the morphology image to its own."""
    if not bundle.he:
        return None, np.eye(3)
    image = bundle.he[0]
    several = f"there are several stained images: {listing(file.name for file in bundle.he)}; keep one"
    if not faults.check(len(bundle.he) == 1, several):
        return image, np.eye(3)
    stem = image.name.partition(".ome.")[0]
    own = [file for file in bundle.alignments if file.name == f"{stem}alignment.csv"]
    files = own or list(bundle.alignments)
    if not files:
        faults.add(
            f"the image {image.name} has no matrix beside it that places it: {stem}alignment.csv, "
            "as Xenium Explorer exports it"
        )
    elif len(files) > 1:
        faults.add(f"there are several matrices for {image.name}: {listing(f.name for f in files)}; keep one")
    else:
        return image, _inverse(files[0], name, faults)
    return image, np.eye(3)


def _inverse(path: Path, name: str, faults: Faults) -> Matrix:
    try:
        matrix = read_affine(path)
    except DataError as error:
        faults.add(error.message)
        return np.eye(3)
    uneven = unevenness(matrix)
    if uneven > UNEVEN:
        warnings.warn(
            f"{name}: the matrix of {path.name} stretches or shears by {100 * uneven:.1f} %: "
            "windows of its image are not square in the tissue.",
            TriptychWarning,
            stacklevel=2,
        )
    inverse: Matrix = np.linalg.inv(matrix)
    return inverse


def _path(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())
