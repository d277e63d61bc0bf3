"""Two label images as runs: stretches of a line of pixels in which nothing changes.

Nuclei are many pixels wide, so there are about ten times fewer runs than pixels to sort and to add up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults
from triptych.core.nuclei import Instances
from triptych.core.protocols import Codes, Indices

Labelled = tuple[Instances, Codes | None]  # a label image, and by number the types of its nuclei


class Runs(NamedTuple):
    """Runs outside the common background, each within a line; all of shape (r,).

    Attributes
    ----------
    truth, guess
        Numbers of the nuclei there, 0 = none.
    ignored
        Whether these pixels are to be ignored.
    length
        Pixels.
    x_px, y_px
        Centre of the run; the pixel i covers [i, i + 1).
    """

    truth: Indices
    guess: Indices
    ignored: NDArray[np.bool_]
    length: Indices
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]


class Side(NamedTuple):
    """The nuclei of one of the two label images that count.

    Attributes
    ----------
    row
        Of each run, the row of its nucleus here, shape (r,); -1 = none that counts.
    area
        Pixels that are not ignored, shape (n,).
    type
        Code of the class, -1 = unknown, shape (n,).
    x_px, y_px
        Centroid of these pixels, shape (n,).
    """

    row: Indices
    area: Indices
    type: Codes
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]


def runs_of(truth: Instances, guess: Instances, ignore: NDArray[np.bool_] | None) -> Runs:
    """Runs of two label images.

    Parameters
    ----------
    truth, guess
        Shape (h, w).
    ignore
        Shape (h, w); None: nothing is ignored.
    """
    width = max(truth.shape[1], 1)
    begins = np.zeros(truth.shape, bool)
    begins[:, :1] = True
    for image in (truth, guess, ignore):
        if image is not None:
            begins[:, 1:] |= image[:, 1:] != image[:, :-1]
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, truth.size))
    t, g = (image.ravel()[start].astype(np.int64) for image in (truth, guess))
    some = (t > 0) | (g > 0)
    start, length, t, g = start[some], length[some], t[some], g[some]
    ignored = np.zeros(len(start), bool) if ignore is None else ignore.ravel()[start].astype(bool)
    return Runs(t, g, ignored, length, start % width + length / 2, start // width + 0.5)


def side_of(runs: Runs, number: Indices, types: Codes | None) -> Side:
    """The nuclei of one side that count.

    Parameters
    ----------
    runs
        Of both label images.
    number
        Of the nucleus of each run on this side, 0 = none.
    types
        By number, that of the nucleus i at i - 1; None: all unknown.
    """
    numbers, place = np.unique(number, return_inverse=True)
    place = place.ravel()
    seen = np.where(runs.ignored, 0, runs.length)
    whole, area = (np.bincount(place, weights, len(numbers)) for weights in (runs.length, seen))
    counts = (numbers > 0) & (2 * area >= whole) & (area > 0)
    rows = np.where(counts, np.cumsum(counts) - 1, -1)
    x, y = (np.bincount(place, seen * centre, len(numbers))[counts] for centre in (runs.x_px, runs.y_px))
    area, numbers = area[counts], numbers[counts]
    known = np.full(len(numbers), -1) if types is None else np.asarray(types)[numbers - 1]
    return Side(rows[place], area.astype(np.int64), known.astype(np.int64), x / area, y / area)


def check_labels(
    where: str, truth: Labelled, guess: Labelled, ignore: NDArray[np.bool_] | None, classes: int
) -> None:  # fmt: skip
    """Refuse label images that cannot be compared.

    Parameters
    ----------
    where
        Which image, to open the message.
    truth, guess
        Label image, shape (h, w), and types by number.
    ignore
        Shape (h, w), or None.
    classes
        Number of classes.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(where)
    shape = truth[0].shape
    faults.check(len(shape) == 2, f"the true labels have shape {shape}; they need (h, w).")
    for name, other in (("found labels have", guess[0]), ("ignore map has", ignore)):
        if other is not None:
            faults.check(other.shape == shape, f"the {name} shape {other.shape}, the true labels {shape}.")
    for name, (labels, types) in (("true", truth), ("found", guess)):
        if not faults.check(labels.dtype.kind in "iu", f"the {name} labels are not whole numbers."):
            continue
        most = int(labels.max(initial=0))
        faults.check(int(labels.min(initial=0)) >= 0, f"the {name} labels hold negative numbers.")
        if types is not None:
            faults.check(len(types) >= most, f"{len(types)} types of {name} nuclei, with numbers to {most}.")
            code = int(types.max(initial=-1))
            faults.check(code < classes, f"type {code} of {name} nuclei has no name; there are {classes}.")
    faults.raise_if_any()
