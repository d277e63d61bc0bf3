"""Mapping batches that no fit has seen: what is refused, and each batch by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from triptych.aligners.door import faults_of
from triptych.core.checks import Faults
from triptych.core.protocols import Array, Codes, Matrix


def faults_of_new(aligner: str, x: Array, batch: Codes, columns: int) -> Faults:
    """Look for what no fitted aligner of a view can use; the caller adds its own faults, and raises.

    Parameters
    ----------
    aligner
        Its name, to open the message.
    x
        Should be dense, of shape (n, columns), and finite.
    batch
        Code of the new batch of each row, shape (n,); none may be missing.
    columns
        Those of the view that was fitted.
    """
    faults = faults_of(aligner, x, batch)
    check_columns(faults, x, columns)
    return faults


def check_columns(faults: Faults, x: Array, columns: int) -> None:
    """Note when the columns are not as many as in the fit.

    Parameters
    ----------
    faults
        Where to.
    x
        Shape (n, d), dense or CSR.
    columns
        Those of the fit.
    """
    told = f"the fit had {columns} columns and this has {x.shape[1]}. Give the same columns, in their order."
    faults.check(x.shape[1] == columns, told)


def each_batch(x: Array, batch: Codes, move: Callable[[Array], Matrix]) -> Matrix:
    """Map every batch by itself: where its rows go does not depend on what else is mapped with them.

    Parameters
    ----------
    x
        Shape (n, d), dense or CSR.
    batch
        Code of the batch of each row, shape (n,).
    move
        Rows of one batch → as many rows.
    """
    parts = [np.flatnonzero(batch == code) for code in np.unique(batch)]
    moved = np.concatenate([move(x[part]) for part in parts])
    value = np.empty_like(moved)
    value[np.concatenate(parts)] = moved
    return value


def need_shapes(*arrays: tuple[Matrix, tuple[int, ...]]) -> None:
    """Refuse arrays of a model that do not belong together.

    Parameters
    ----------
    arrays
        Each with the shape it should have.

    Raises
    ------
    ValueError
        Which loading a model turns into its own error.
    """
    for array, shape in arrays:
        if array.shape != shape:
            raise ValueError(f"an array has shape {array.shape}, not {shape}")
        if not np.isfinite(array).all():
            raise ValueError("an array holds values that are not finite")
