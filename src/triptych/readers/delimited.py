"""Text tables: wide counts parsed row by row into sparse rows, and small ones by pandas."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import numpy as np
import pandas as pd
import scipy.sparse as sp

from triptych.core.checks import listing
from triptych.core.errors import DataError

ENDINGS: Final = (".tsv.gz", ".csv.gz", ".tsv", ".csv")
DIGITS: Final = 15  # that float64 holds exactly
Row = tuple[str, np.ndarray]


def find(folder: Path, stem: str) -> Path | None:
    """The text table of that name in the folder, whatever its ending."""
    return next((folder / f"{stem}{end}" for end in ENDINGS if (folder / f"{stem}{end}").is_file()), None)


def separator(path: Path) -> str:
    """Tab for ``.tsv``, comma for ``.csv``."""
    return "\t" if ".tsv" in path.name else ","


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what happens on a damaged file into an error about that file.

    Raises
    ------
    DataError
        When the file is missing, cut short or not text.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"the file {path.name} is missing") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"the file {path.name} is cut short or damaged ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"the file {path.name} is not text in UTF-8") from error
    except OSError as error:
        raise DataError(f"the file {path.name} cannot be read ({error})") from error


def read_frame(path: Path, *, header: bool = True, index: bool = True) -> pd.DataFrame:
    """Read a small table; its first column becomes the index, as text.

    Raises
    ------
    DataError
        When the file cannot be read or is no table.
    """
    with readable(path):
        try:
            frame = pd.read_csv(
                path,
                sep=separator(path),
                header=0 if header else None,
                dtype={0: str},
                keep_default_na=True,
            )
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"the file {path.name} is no table ({error})".rstrip()) from error
    if not index:
        return frame
    first = frame.iloc[:, 0].astype(str)
    return frame.iloc[:, 1:].set_axis(pd.Index(first, name=None), axis=0)


def need_columns(frame: pd.DataFrame, columns: tuple[str, ...], path: Path) -> None:
    """Check that a table has its columns.

    Raises
    ------
    DataError
        Naming the columns that are missing and those that exist.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(
            f"the file {path.name} has no column {', '.join(missing)}; "
            f"it has {listing(map(str, frame.columns))}"
        )


def read_counts(path: Path) -> tuple[sp.csr_matrix, pd.Index, pd.Index]:
    """Read counts, one observation a line with its id first, into sparse rows.

    Rows are parsed one at a time, so the memory is that of the values that are not zero. What is
    no number becomes NaN, for the door to count and place.

    Returns
    -------
    Matrix of shape (n, g) in float64, ids of the rows, names of the genes.

    Raises
    ------
    DataError
        When the file cannot be read or its lines differ in length.
    """
    with readable(path), _open(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's word for a field that is no number
        header = next(csv.reader([file.readline()], delimiter=separator(path)), [])
        ids: list[str] = []
        data, indices, indptr = [np.empty(0)], [np.empty(0, np.int64)], [0]
        width = None
        for name, values in _rows(file, separator(path), path):
            width = len(values) if width is None else width
            if len(values) != width:
                raise DataError(
                    f"line {len(ids) + 2} of {path.name} has {len(values)} values, "
                    f"the lines before it {width}"
                )
            hits = np.flatnonzero(values)
            ids.append(name)
            data.append(values[hits])
            indices.append(hits)
            indptr.append(indptr[-1] + len(hits))
    genes = _gene_names(header, width, path)
    shape = (len(ids), len(genes))
    matrix = sp.csr_matrix((np.concatenate(data), np.concatenate(indices), indptr), shape=shape)
    return matrix, pd.Index(ids, dtype=object), pd.Index(genes, dtype=object)


def _gene_names(header: list[str], width: int | None, path: Path) -> list[str]:
    if width is None or len(header) == width + 1:
        return header[1:]
    if len(header) == width:  # R leaves out the name of the column of ids
        return header
    raise DataError(f"{path.name} names {max(0, len(header) - 1)} genes, but its lines have {width} values")


def _open(path: Path) -> TextIO:
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8")
    return path.open(encoding="utf-8")


def _rows(file: TextIO, sep: str, path: Path) -> Iterator[Row]:
    for line in file:
        body = line.rstrip("\r\n")
        if not body:
            continue
        if body[0] == '"':
            name, _, rest = body[1:].partition('"' + sep)
        else:
            name, _, rest = body.partition(sep)
        yield name, _numbers(rest, sep)


def _numbers(text: str, sep: str) -> np.ndarray:
    """The fields of one line as numbers."""
    whole = _whole_numbers(text, sep)
    if whole is not None:
        return whole
    try:
        values = np.fromstring(text, dtype=np.float64, sep=sep)
    except (ValueError, DeprecationWarning):
        values = np.empty(0)
    if len(values) == text.count(sep) + 1:
        return values
    fields = pd.Series(text.split(sep)).str.strip().str.strip('"')  # the slow way, for what is no number
    return pd.to_numeric(fields, errors="coerce").to_numpy(np.float64)


def _whole_numbers(text: str, sep: str) -> np.ndarray | None:
    """The fields as numbers if all are plain digits, many times faster; else None."""
    chars = np.frombuffer(text.encode(), np.uint8)
    digits, is_sep = chars - np.uint8(ord("0")), chars == ord(sep)
    if np.any((digits > 9) & ~is_sep):
        return None
    ends = np.append(np.flatnonzero(is_sep), len(chars))
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.min() == 0 or lengths.max() > DIGITS:
        return None
    values: np.ndarray = digits[ends - 1].astype(np.float64)
    for place in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > place)
        values[longer] += digits[ends[longer] - 1 - place] * 10.0**place
    return values
