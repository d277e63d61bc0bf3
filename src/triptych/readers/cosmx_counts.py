"""The counts of a CosMx slide: a wide table, read piece by piece into sparse rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.readers.counting import LIMIT
from triptych.readers.delimited import need_columns, readable, separator
from triptych.readers.long_tables import text_pieces

IDS: Final = ("fov", "cell_ID")
NOT_GENES: Final = {*IDS, "cell", "cell_id", "slide_ID"}
CONTROLS: Final = re.compile(r"NegPrb|NegProbe|Negative|SystemControl|FalseCode")
VALUES: Final = 1 << 23  # dense values held at once: 64 MiB


def read_expression(path: Path) -> tuple[sp.csr_matrix, pd.Index, pd.Index]:
    """Read the counts of genes in cells; controls, and cell 0 (outside of any cell), are left out.

    What is no number becomes NaN, for the door to count and place.

    Returns
    -------
    Matrix of shape (n, g), ids ``FOV_CELL`` of the rows, names of the genes.

    Raises
    ------
    DataError
        When the file is damaged, has not the columns, or its lines are of another length than its header.
    """
    names = _header(path)
    need_columns(pd.DataFrame(columns=names), IDS, path)
    genes = [i for i, name in enumerate(names) if name not in NOT_GENES and not CONTROLS.match(name)]
    if not genes:
        raise DataError(f"the file {path.name} has no column of a gene")
    blocks, ids = [sp.csr_matrix((0, len(genes)), dtype=np.int32)], [np.empty(0, object)]
    for piece in text_pieces(path, None, rows=max(2, VALUES // len(names))):
        _check_lengths(piece, path)
        inside = cell_ids(piece, path)
        kept = inside.notna()
        blocks.append(_sparse(piece.iloc[np.flatnonzero(kept), genes]))
        ids.append(inside[kept].to_numpy(object))
    cells, columns = np.concatenate(ids), [names[i] for i in genes]
    return sp.vstack(blocks, format="csr"), pd.Index(cells, dtype=object), pd.Index(columns, dtype=object)


def cell_ids(frame: pd.DataFrame, path: Path) -> pd.Index:
    """``FOV_CELL`` of each row, missing for cell 0.

    Parameters
    ----------
    frame
        With the columns fov and cell_ID; its index numbers the rows of the file.
    path
        For messages.

    Raises
    ------
    DataError
        When some are no whole numbers.
    """
    numbers = frame[list(IDS)].apply(pd.to_numeric, errors="coerce")
    bad = ~(numbers % 1 == 0).all(axis=1).to_numpy()
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} lines of {path.name} have no whole numbers fov and cell_ID, "
            f"the first is line {int(frame.index[bad][0]) + 2}"
        )
    text = numbers.astype(np.int64).astype(str)
    joined = (text["fov"] + "_" + text["cell_ID"]).where(numbers["cell_ID"] != 0)
    ids: pd.Index = pd.Index(joined.to_numpy(object), dtype=object)
    return ids


def _header(path: Path) -> list[str]:
    """Names of the columns as they are: pandas would rename those that are there twice."""
    with readable(path):
        try:
            first = pd.read_csv(
                path, sep=separator(path), header=None, nrows=1, dtype=str, keep_default_na=False
            )
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"the file {path.name} is no table ({error})".rstrip()) from error
    return [str(name) for name in first.iloc[0]]


def _check_lengths(piece: pd.DataFrame, path: Path) -> None:
    """Pandas takes surplus values at the start for row names, and fills lines that are cut short."""
    if not isinstance(piece.index, pd.RangeIndex):
        raise DataError(f"the lines of {path.name} have more values than its header has names")
    short = piece.iloc[:, -1].isna().to_numpy()
    if short.any():
        line = int(piece.index[short][0]) + 2
        raise DataError(f"line {line} of {path.name} ends before the last of its {piece.shape[1]} columns")


def _sparse(values: pd.DataFrame) -> sp.csr_matrix:
    if not all(kind.kind in "iuf" for kind in values.dtypes):
        values = values.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    dense = values.to_numpy()
    if dense.dtype.kind in "iu" and np.all(dense <= LIMIT) and np.all(dense >= -LIMIT):
        dense = dense.astype(np.int32)
    return sp.csr_matrix(dense)
