"""Tables of analyses as arrays, so that the cache keeps them: one for each column, text as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMN: Final = "column-"
NAMES: Final = "columns"
NOTE: Final = "note"


def keepable(table: pd.DataFrame) -> bool:
    """Whether every column holds numbers, truths, or nothing but text, so that it comes back as it was."""
    return all(
        table[name].dtype.kind in "iufb" or all(isinstance(value, str) for value in table[name])
        for name in table
    )


def to_arrays(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Columns, their names, and the note that the analysis left.

    Parameters
    ----------
    table
        That is `keepable`.
    """
    columns = {
        f"{COLUMN}{place:03d}": np.asarray(table[name], None if table[name].dtype.kind in "iufb" else np.str_)
        for place, name in enumerate(table)
    }
    note = str(table.attrs.get("note", ""))
    return {**columns, NAMES: np.array(list(table), np.str_), NOTE: np.array([note], np.str_)}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """The table that `to_arrays` took apart."""
    names = [str(name) for name in arrays[NAMES]]
    columns = [arrays[f"{COLUMN}{place:03d}"] for place in range(len(names))]
    table = pd.DataFrame(
        {
            name: [str(value) for value in values] if values.dtype.kind == "U" else values
            for name, values in zip(names, columns, strict=True)
        }
    )
    if note := str(arrays[NOTE][0]):
        table.attrs["note"] = note
    return table
