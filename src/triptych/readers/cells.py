"""Cells of tables that instruments write: which have counts and a place, and what else is known of them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning


def placed(name: str, ids: pd.Index, places: pd.Index, tables: tuple[str, str]) -> np.ndarray:
    """Which cells of the matrix have a place; says how many cells are left out.

    Parameters
    ----------
    name
        The sample, to open the warning with.
    ids
        Cells of the matrix.
    places
        Cells that have a place.
    tables
        Names of the two files.

    Returns
    -------
    Of ``ids``, shape (n,).

    Raises
    ------
    DataError
        When a cell is there more than once, or no cell is in both.
    """
    for table, index in zip(tables, (ids, places), strict=True):
        if not index.is_unique:
            doubles = index[index.duplicated()].unique()
            raise DataError(
                f"{len(doubles)} cells are there more than once in {table}: {listing(doubles, 5)}"
            )
    keep: np.ndarray = ids.isin(places)
    if not keep.any():
        raise DataError(
            f"no cell is both in {tables[0]} ({listing(ids, 2)}) and in {tables[1]} ({listing(places, 2)})"
        )
    bare, empty = len(ids) - int(keep.sum()), len(places) - int(keep.sum())
    if bare or empty:
        warnings.warn(
            f"{name}: left out are {bare} of {len(ids)} cells of {tables[0]} that have no place in "
            f"{tables[1]}, and {empty} of {len(places)} there that have no counts.",
            TriptychWarning,
            stacklevel=2,
        )
    return keep


def described(cells: pd.DataFrame) -> pd.DataFrame:
    """The columns that hold anything."""
    return cells.dropna(axis=1, how="all").copy()
