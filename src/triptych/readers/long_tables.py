"""Long tables of instruments, of cells, vertices or molecules: read by column and piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.readers.delimited import readable, separator

PIECE: Final = 1 << 20  # rows read at once
CATEGORIES: Final = ("cell_id", "cell", "feature_name", "gene", "target")  # few different texts in many rows
TEXT: Final = (".csv.gz", ".csv")
ENDINGS: Final = (".parquet", *TEXT)


def table_file(folder: Path, stem: str) -> Path | None:
    """The table of that name in the folder, Parquet before text."""
    return next((folder / f"{stem}{end}" for end in ENDINGS if (folder / f"{stem}{end}").is_file()), None)


def columns_of(path: Path) -> list[str]:
    """Names of the columns; nothing else is read.

    Raises
    ------
    DataError
        When the file is damaged or no table.
    """
    if path.suffix == ".parquet":
        return [str(name) for name in _parquet(path).schema_arrow.names]
    return [str(name) for name in next(text_pieces(path, None, rows=1)).columns]


def read_table(path: Path, needed: tuple[str, ...], also: tuple[str, ...] = ()) -> pd.DataFrame:
    """Columns of a table of cells or vertices.

    Parameters
    ----------
    path
        Parquet or text.
    needed
        Columns that must be there.
    also
        Columns that are read where they are.

    Raises
    ------
    DataError
        When the file is damaged or has not the columns.
    """
    pieces = list(read_pieces(path, needed, also))
    frame = pd.concat([piece.astype({c: object for c in CATEGORIES if c in piece}) for piece in pieces])
    return frame.reset_index(drop=True)


def read_pieces(path: Path, needed: tuple[str, ...], also: tuple[str, ...] = ()) -> Iterator[pd.DataFrame]:
    """The same, at most `PIECE` rows at a time; texts that repeat are categories.

    Raises
    ------
    DataError
        When the file is damaged or has not the columns.
    """
    there = columns_of(path)
    missing = [column for column in needed if column not in there]
    if missing:
        raise DataError(f"the file {path.name} has no column {', '.join(missing)}; it has {listing(there)}")
    wanted = [*needed, *(column for column in also if column in there)]
    pieces = _parquet_pieces if path.suffix == ".parquet" else text_pieces
    yield from pieces(path, wanted)


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn what happens on a damaged Parquet file into an error about that file.

    Raises
    ------
    DataError
        When the file is missing, cut short or no Parquet.
    MissingExtraError
        When there is no pyarrow.
    """
    arrow = need("pyarrow", "cells")
    with readable(path):
        try:
            yield
        except FileNotFoundError:
            raise
        except (arrow.ArrowException, OSError) as error:
            raise DataError(f"the file {path.name} is cut short or damaged ({_first(error)})") from error


def _parquet(path: Path) -> Any:
    module = need("pyarrow.parquet", "cells")
    with undamaged(path):
        there = module.ParquetFile(path).schema_arrow.names
        return module.ParquetFile(path, read_dictionary=[name for name in CATEGORIES if name in there])


def _parquet_pieces(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    file = _parquet(path)
    with undamaged(path):
        some = False
        for batch in file.iter_batches(batch_size=PIECE, columns=columns):
            some = True
            yield _decoded(batch)
        if not some:
            yield _decoded(file.read(columns=columns))


def _decoded(batch: Any) -> pd.DataFrame:
    """Text for what version 1 of Xenium wrote as bytes and others as numbers, categories for what repeats."""
    # integers beside missing values stay integers: 19 digits do not survive a detour over floating point
    frame: pd.DataFrame = batch.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    for column in (name for name in CATEGORIES if name in frame):
        names = frame[column].astype("category")
        first = names.cat.categories[:1]
        if len(first) and isinstance(first[0], bytes):
            names = names.cat.rename_categories([name.decode("utf-8") for name in names.cat.categories])
        elif len(first) and not isinstance(first[0], str):
            whole = names.cat.categories.dtype.kind == "f" and np.all(names.cat.categories % 1 == 0)
            words = names.cat.categories.astype(np.int64) if whole else names.cat.categories
            names = names.cat.rename_categories([str(word) for word in words])
        frame[column] = names
    return frame


def text_pieces(path: Path, columns: list[str] | None, rows: int = PIECE) -> Iterator[pd.DataFrame]:
    """Rows of a text table, some at a time, numbered through.

    Parameters
    ----------
    path
        Of the table.
    columns
        To read; None for all.
    rows
        At once.

    Raises
    ------
    DataError
        When the file is damaged or no table.
    """
    kinds: Any = dict.fromkeys(CATEGORIES, "category" if rows > 1 else str)
    with readable(path):
        try:
            # low memory would read a piece in thousands of parts and unite the categories of each
            reader = pd.read_csv(
                path, sep=separator(path), usecols=columns, dtype=kinds, chunksize=rows, low_memory=False
            )
            with reader:
                some = False
                for piece in reader:
                    some = True
                    yield piece
            if not some:
                yield pd.read_csv(path, sep=separator(path), usecols=columns, dtype=str)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
            raise DataError(f"the file {path.name} is no table ({_first(error)})") from error


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
