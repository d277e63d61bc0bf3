"""Tables of cell types that somebody computed before: one for all sections, or one for each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from triptych.core.abundance import Abundance
from triptych.core.checks import Faults, listing
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Indices, Matrix
from triptych.readers.abundance_files import PARQUET, SAMPLE, read_abundance_file
from triptych.readers.delimited import find


def read_abundances(path: Path, names: Mapping[str, Sequence[str]]) -> Abundance:
    """Read how much of each type lies in each observation, from text (tsv, csv, either with gz) or Parquet.

    A table has a row for each observation, its id first, and a column for each type; a header may leave out
    the name of the column of ids, as R does. Rows of a table that no observation has are not used. One table
    may have a column ``sample``; a folder has a table for each section, by its name, e.g. ``C2.tsv.gz``.

    An id matches as it is given, without ``SAMPLE_`` before it, or with: of these three forms, for all
    observations of a section, that which matches most. So a study of several sections, whose names are
    ``SAMPLE_ID``, is matched by tables made of each section by itself, and the other way round.

    Parameters
    ----------
    path
        Of the table or the folder.
    names
        Section → ids of its observations.

    Returns
    -------
    One row for each observation, section after section as they are named; NaN where the table has none or
    an empty one. Types in the order of the first table, without spaces around their names.

    Warns
    -----
    TriptychWarning
        When observations are in no table.

    Raises
    ------
    DataError
        When a file is missing or no table; ids or types are there twice; tables differ in their types; values
        are negative, infinite, no numbers, or missing in part of a row; a row is claimed by two sections;
        nothing matches. All faults together.
    """
    faults = Faults(str(path))
    tables = _tables(path, list(names), faults)
    types = _types(tables, faults)
    faults.raise_if_any()
    rows = {sample: _rows(sample, names[sample], table.frame.index) for sample, table in tables.items()}
    _check_matches(rows, tables, names, faults)
    faults.raise_if_any(hint="Name rows as the observations are, as ID or SAMPLE_ID.")
    parts = {
        sample: _taken(tables[sample].frame, rows[sample], types)
        if sample in tables
        else np.full((len(ids), len(types)), np.nan)
        for sample, ids in names.items()
    }
    _say_missing(str(path), rows, names)
    return Abundance(np.concatenate(list(parts.values())), types)


class Table(NamedTuple):
    """Rows among which those of a section are sought.

    Attributes
    ----------
    name
        Of the file.
    frame
        Numbers, with the ids of the rows and the types as columns.
    own
        Whether all rows are of this one section.
    """

    name: str
    frame: pd.DataFrame
    own: bool


def _tables(path: Path, samples: list[str], faults: Faults) -> dict[str, Table]:
    """Section → its table; sections without one are left out."""
    if not path.is_dir():
        frame, of = read_abundance_file(path, faults)
        if of is None:
            return {sample: Table(path.name, frame, own=False) for sample in samples}
        there = [sample for sample in samples if (of == sample).any()]
        held = listing(of.unique(), 5)
        faults.check(bool(there), f"its column {SAMPLE} names {held}; the sections are {listing(samples, 5)}")
        return {sample: Table(path.name, _of(frame, of, sample), own=True) for sample in there}
    files = {sample: _file_of(path, sample) for sample in samples}
    tables: dict[str, Table] = {}
    for sample, file in files.items():
        if file is not None:
            frame, of = read_abundance_file(file, faults)
            tables[sample] = Table(file.name, _of(frame, of, sample), own=True)
    held = listing(sorted(file.name for file in path.iterdir()), 5)
    example = f"{samples[0]}.tsv.gz" if samples else "none"
    faults.check(bool(tables), f"there is no table of {listing(samples, 5)}, e.g. {example}; there is {held}")
    return tables


def _of(frame: pd.DataFrame, of: pd.Series | None, sample: str) -> pd.DataFrame:
    """The rows of one section, if the table says which they are."""
    return frame if of is None else frame[(of == sample).to_numpy()]


def _file_of(folder: Path, sample: str) -> Path | None:
    """The table of that section; a name that leads out of the folder has none."""
    if Path(sample).name != sample:
        return None
    parquet = folder / f"{sample}{PARQUET}"
    return parquet if parquet.is_file() else find(folder, sample)


def _types(tables: Mapping[str, Table], faults: Faults) -> tuple[str, ...]:
    """The types, of which every table must have all."""
    every = tuple(dict.fromkeys(str(name) for table in tables.values() for name in table.frame))
    for table in {table.name: table for table in tables.values()}.values():
        absent = [name for name in every if name not in table.frame]
        faults.check(
            not absent or not table.frame.size,  # of a file that cannot be read this is said already
            f"{table.name} has no column {listing(absent, 5)}, which other tables have; a type that was "
            "sought and not found needs a column of zeros",
        )
    faults.check(bool(every) or bool(faults.found), "there are no types")
    return every


def _rows(sample: str, ids: Sequence[str], index: pd.Index) -> Indices:
    """Row of each observation of a section, -1 = none, by the form of ids that matches most."""
    start = f"{sample}_"
    forms = [list(ids), [one.removeprefix(start) for one in ids], [start + one for one in ids]]
    found = [np.asarray(index.get_indexer(pd.Index(form))) for form in forms]
    return max(found, key=lambda rows: int((rows >= 0).sum()))


def _check_matches(
    rows: Mapping[str, Indices],
    tables: Mapping[str, Table],
    names: Mapping[str, Sequence[str]],
    faults: Faults,
) -> None:
    """Note sections without a match in their own table, and rows that are claimed twice."""
    some = any(bool((found >= 0).any()) for found in rows.values())
    for sample, found in rows.items():
        if not (found >= 0).any() and (tables[sample].own or not some):
            index = tables[sample].frame.index
            faults.add(
                f"{tables[sample].name}: no row is of {sample}; its observations are e.g. "
                f"{listing(names[sample], 2)}, the rows {listing(index, 2)}"
            )
    shared = [sample for sample in rows if not tables[sample].own]
    for group in [*([sample] for sample in rows if tables[sample].own), shared]:
        used = [rows[sample][rows[sample] >= 0] for sample in group]
        row, times = np.unique(np.concatenate([np.empty(0, np.int64), *used]), return_counts=True)
        twice = row[times > 1]
        if len(twice):
            table = tables[group[0]]
            faults.add(
                f"{table.name}: {len(twice)} rows are each of more than one observation, first "
                f"{table.frame.index[twice[0]]}, sought in {listing(group, 5)}; give each section a table "
                f"or a column {SAMPLE}"
            )


def _taken(frame: pd.DataFrame, rows: Indices, types: tuple[str, ...]) -> Matrix:
    values = frame[list(types)].to_numpy(np.float64)[rows]
    values[rows < 0] = np.nan
    return values


def _say_missing(where: str, rows: Mapping[str, Indices], names: Mapping[str, Sequence[str]]) -> None:
    missing = {
        sample: int((rows[sample] < 0).sum()) if sample in rows else len(ids) for sample, ids in names.items()
    }
    if any(missing.values()):
        total = sum(len(ids) for ids in names.values())
        having = listing(f"{sample} {number}" for sample, number in missing.items() if number)
        warnings.warn(
            f"{where}: {sum(missing.values())} of {total} observations are in no table ({having}); "
            "nothing is known of them.",
            TriptychWarning,
            stacklevel=3,
        )
