"""Outlines of the nuclei of one section, in full-resolution pixels and with the rows that they belong to."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Matrix
from triptych.maths.polygons import crossing
from triptych.readers.affine import transform
from triptych.readers.outline_files import read_rings
from triptych.readers.pictures import image_size
from triptych.readers.sections import About

OUTSIDE: Final = 0.05  # of what lies beside the picture at most; more, and it is not the picture of it


def outlines_of(about: About, cell_ids: NDArray[np.str_]) -> Outlines:
    """Read the outlines of nuclei of a section.

    A ring that crosses itself is kept, and a warning tells the share: `triptych.maths.polygons.crossing`
    says which they are, and no label should be made of them. One with fewer than three points is left out.

    Parameters
    ----------
    about
        Of the section; ``nucleus_boundaries`` names the file.
    cell_ids
        Of the section's observations as the instrument's files have them, shape (n,).

    Returns
    -------
    Rings; row -1 for those of no observation.

    Raises
    ------
    DataError
        With every fault: a damaged file, one without outlines, too many of them outside the picture, or none
        of an observation.
    """
    path = Path(about.nucleus_boundaries)
    faults = Faults(path.name)
    matrix = outline_matrix(about)
    found = read_rings(path)
    px = transform(matrix, found.outlines.px).astype(np.float32)
    known = pd.Index(np.asarray(cell_ids).astype(str)).get_indexer(found.ids)
    outlines = Outlines(px, found.outlines.first, known[found.outlines.row].astype(np.int64))
    faults.check(
        bool(np.any(outlines.row >= 0)),
        f"none of the {len(found.ids)} cells of the outlines ({listing(found.ids, 2)}) is among the "
        f"{len(cell_ids)} of the section ({listing(map(str, cell_ids), 2)})",
    )
    outside = _outside(outlines, about, faults)
    faults.raise_if_any(hint="The outlines must be those of this section, in the frame that its matrix maps.")
    _tell(path.name, outlines, outside, found.flat)
    return outlines


def outline_matrix(about: About) -> Matrix:
    """From the numbers in the file of outlines to full-resolution pixels, shape (2, 3).

    Raises
    ------
    DataError
        When the text is no such matrix, as only a table from elsewhere can have it.
    """
    if not about.outline_matrix:
        return np.eye(2, 3)
    try:
        matrix = np.asarray(json.loads(about.outline_matrix), float)
    except (ValueError, TypeError) as error:
        raise DataError(f"the matrix of the outlines is no JSON of numbers ({error})") from error
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
        raise DataError(f"the matrix of the outlines has shape {matrix.shape}, not 2 × 3 finite numbers")
    return matrix


def beside(low: Matrix, high: Matrix, about: About) -> NDArray[np.bool_]:
    """Which boxes lie wholly beside the section's picture; none where there is no picture.

    Parameters
    ----------
    low, high
        Left and top, right and bottom of each in full-resolution pixels, shape (m, 2).
    about
        Of the section.
    """
    if not about.image:
        return np.zeros(len(low), bool)
    size = np.array(image_size(about.image)) / about.image_scale
    away: NDArray[np.bool_] = np.any((high <= 0) | (low >= size), axis=1)
    return away


def _outside(outlines: Outlines, about: About, faults: Faults) -> int:
    """How many rings lie outside the picture."""
    begin = outlines.first[:-1]
    low, high = (extreme.reduceat(outlines.px, begin) for extreme in (np.minimum, np.maximum))
    try:
        away = beside(low, high, about)
    except DataError as error:
        faults.add(error.message)
        return 0
    number = int(away.sum())
    if number > OUTSIDE * len(away):
        x, y = outlines.px[begin[np.argmax(away)]]
        faults.add(
            f"{number} of {len(away)} outlines lie outside the picture {Path(about.image).name}, the first "
            f"at ({x:.0f}, {y:.0f}) px"
        )
    return number


def _tell(name: str, outlines: Outlines, outside: int, flat: int) -> None:
    """Warn of what is wrong with some of the rings."""
    number = len(outlines.row)
    crossed = int(crossing(outlines).sum())
    words = [
        (crossed, f"cross themselves ({crossed / number:.1%}); they are kept, but make no labels"),
        (outside, f"lie outside the picture ({outside / number:.1%})"),
        (flat, "have fewer than three distinct points and are left out"),
    ]
    told = [f"{count} of {number + flat} {word}" for count, word in words if count]
    if told:
        warnings.warn(f"{name}: of the outlines {'; '.join(told)}.", TriptychWarning, stacklevel=3)
