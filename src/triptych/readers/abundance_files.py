"""One table of cell types: what is in the file, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.protocols import Matrix
from triptych.readers.delimited import ENDINGS, readable, separator
from triptych.readers.long_tables import undamaged

PARQUET: Final = ".parquet"
SAMPLE: Final = "sample"  # a column of this name says which section a row is of


def read_abundance_file(path: Path, faults: Faults) -> tuple[pd.DataFrame, pd.Series | None]:
    """Read one table of rows of observations and columns of types.

    Parameters
    ----------
    path
        Text (tsv, csv, either with gz) or Parquet; the first column holds the ids.
    faults
        Where to note what is wrong with the file or its values.

    Returns
    -------
    Numbers, float64, with ids as index and types as columns, without spaces around these; and the section of
    each row, None where there is no column ``sample``. No rows and columns where the file cannot be read.
    """
    try:
        frame = _parquet(path) if path.suffix == PARQUET else _text(path)
    except DataError as error:
        faults.add(error.message)
        return pd.DataFrame(), None
    of = frame.pop(SAMPLE).astype(str) if SAMPLE in frame and frame.columns.is_unique else None
    doubles = frame.columns[frame.columns.duplicated()].unique()
    faults.check(not len(doubles), f"{path.name}: types are there more than once: {listing(doubles, 5)}")
    faults.check(frame.size > 0, f"{path.name}: there are {len(frame)} rows and {frame.shape[1]} types")
    ids = frame.index if of is None else of + " " + frame.index
    repeated = ids[ids.duplicated()].unique()
    faults.check(
        not len(repeated),
        f"{path.name}: {len(repeated)} ids are there more than once: {listing(repeated, 5)}",
    )
    return pd.DataFrame(_numbers(frame, path.name, faults), frame.index, frame.columns), of


def _text(path: Path) -> pd.DataFrame:
    """A text table as it is written, with its first column as index."""
    if not path.name.endswith(ENDINGS):
        raise DataError(f"the file {path.name} ends in none of {', '.join((*ENDINGS, PARQUET))}")
    how: dict[str, Any] = {"sep": separator(path), "header": None}
    with readable(path):
        try:
            first = pd.read_csv(path, **how, nrows=1, dtype=str, keep_default_na=False)
            body = pd.read_csv(path, **how, skiprows=1, dtype={0: str}, low_memory=False)
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"the file {path.name} is no table ({error})".rstrip()) from error
    header = [str(name).strip() for name in first.iloc[0]]
    width = body.shape[1] - 1
    if len(header) not in {width, width + 1} or width == 0:
        raise DataError(f"the file {path.name} names {len(header)} columns, but its lines have {width + 1}")
    names = header[len(header) - width :]  # R leaves out the name of the column of ids
    if "" in names:
        raise DataError(f"the file {path.name} has a column without a name")
    plain: pd.DataFrame = body.iloc[:, 1:].set_axis(names, axis=1)
    return plain.set_axis(pd.Index(body[0].astype(str), name=None), axis=0)


def _parquet(path: Path) -> pd.DataFrame:
    """The same of Parquet; its first column is the index unless it holds one."""
    module = need("pyarrow.parquet", "cells")
    with undamaged(path):
        frame: pd.DataFrame = module.read_table(path).to_pandas()
    if isinstance(frame.index, pd.RangeIndex) and frame.shape[1]:
        frame = frame.set_index(frame.columns[0])
    names = [str(name).strip() for name in frame.columns]
    plain: pd.DataFrame = frame.set_axis(names, axis=1)
    return plain.set_axis(pd.Index(plain.index.astype(str), name=None), axis=0)


def _numbers(frame: pd.DataFrame, name: str, faults: Faults) -> Matrix:
    """Values of a table, shape (rows, types); notes those that no abundance can have."""
    columns = [pd.to_numeric(frame.iloc[:, j], errors="coerce") for j in range(frame.shape[1])]
    values = np.column_stack(columns).astype(np.float64) if columns else np.empty((len(frame), 0))
    absent = frame.isna().to_numpy()
    kinds = {
        "no number": np.isnan(values) & ~absent,
        "missing in a row that has others": absent & ~absent.all(axis=1, keepdims=True),
        "infinite": np.isinf(values),
        "negative": np.isfinite(values) & (values < 0),
    }
    for kind, bad in kinds.items():
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            number = int(bad.sum())
            faults.add(
                f"{name}: {number} {'value is' if number == 1 else 'values are'} {kind}, first "
                f"{frame.iat[row, column]!s} at {frame.index[row]}, type {frame.columns[column]}"
            )
    return values
