"""Plain text tables: counts of cells, their places, types and latent views."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.delimited import ENDINGS, find, need_columns, read_counts, read_frame
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions
from triptych.readers.sections import About, section

COUNTS: Final = "_counts"
LATENT: Final = "latent_"


@dataclass(frozen=True)
class Tables:
    """A folder of ``.csv`` or ``.tsv``, compressed or not; the first column of each is the cell.

    One sample: ``counts``, ``cells`` (x, y, …), ``types`` (its first column is the label) and
    ``latent_NAME`` (becomes obsm:X_img.NAME). Several: ``S_counts`` and ``S_obs`` (x, y, …).
    The unit of x and y is not known, so there is no scale.
    """

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def recognises(self, path: Path) -> bool:
        """Whether there is a table ``counts`` or ``S_counts``."""
        return path.is_dir() and bool(self.samples(path))

    def samples(self, path: Path) -> list[str]:
        """The ``S`` of each ``S_counts``, or the folder's name."""
        if find(path, "counts") is not None:
            return [path.resolve().name]
        stems = (_stem(file.name) for file in path.iterdir())
        return sorted({stem.removesuffix(COUNTS) for stem in stems if stem.endswith(COUNTS)})

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for.

        Raises
        ------
        DataError
            With every fault of every sample.
        """
        names = choose(self.samples(path), options, str(path))
        single = find(path, "counts") is not None
        read_one = _single if single else _one_of_several
        return gather(names, lambda name, _: read_one(path, name), options, str(path))


def _single(path: Path, name: str) -> AnnData:
    frames = {"cells": _table(path, "cells")}
    types = find(path, "types")
    labels = read_frame(types) if types is not None else None
    latents = {
        f"X_img.{_stem(file.name).removeprefix(LATENT)}": read_frame(file)
        for file in sorted(path.iterdir())
        if file.name.startswith(LATENT) and file.name.endswith(ENDINGS)
    }
    counts = find(path, "counts")
    if counts is None:
        raise DataError("the file counts.csv.gz is missing")
    return _build(name, counts, frames["cells"], labels, latents)


def _one_of_several(path: Path, name: str) -> AnnData:
    counts = find(path, f"{name}{COUNTS}")
    if counts is None:
        raise DataError(f"the file {name}{COUNTS}.csv.gz is missing")
    return _build(name, counts, _table(path, f"{name}_obs"), None, {})


def _build(
    name: str,
    counts: Path,
    cells: pd.DataFrame,
    labels: pd.DataFrame | None,
    latents: dict[str, pd.DataFrame],
) -> AnnData:
    """Keep the cells that all tables have, in the order of the counts."""
    matrix, ids, genes = read_counts(counts)
    tables = {"counts": ids, "cells": cells.index} | {key: frame.index for key, frame in latents.items()}
    if labels is not None and labels.columns.size:
        tables_unique = {**tables, "types": labels.index}
    else:
        tables_unique, labels = tables, None
    for table, index in tables_unique.items():
        if not index.is_unique:
            doubles = index[index.duplicated()].unique()
            raise DataError(f"{len(doubles)} ids are there more than once in {table}: {listing(doubles, 5)}")
    keep = reduce(np.logical_and, [ids.isin(index) for index in tables.values()])
    _say_dropped(name, tables, int(keep.sum()))
    kept = ids[keep]
    obs = cells.loc[kept].drop(columns=["x", "y"])
    if labels is not None:
        obs[str(labels.columns[0])] = labels.iloc[:, 0].reindex(kept)
    obsm: dict[str, Any] = {key: _view(key, frame.loc[kept]) for key, frame in latents.items()}
    obsm["spatial"] = cells.loc[kept, ["x", "y"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    rows = matrix if keep.all() else matrix[np.flatnonzero(keep)]
    return section(name, rows, obs=obs, genes=pd.DataFrame(index=genes), obsm=obsm, about=About())


def _view(key: str, frame: pd.DataFrame) -> np.ndarray:
    values: np.ndarray = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    bad = int(np.sum(~np.isfinite(values)))
    if bad:
        raise DataError(f"{bad} values of the table of {key} are no finite numbers")
    return values


def _say_dropped(name: str, tables: dict[str, pd.Index], kept: int) -> None:
    sizes = {table: len(index) for table, index in tables.items()}
    most = max(sizes.values())
    if 0 < kept < most:
        having = ", ".join(f"{table} {size}" for table, size in sizes.items())
        warnings.warn(
            f"{name}: {most - kept} of {most} cells are left out, as not all tables have them ({having}).",
            TriptychWarning,
            stacklevel=2,
        )
    elif kept == 0 < most:
        raise DataError(f"no cell is in all of its tables ({', '.join(tables)})")


def _table(path: Path, stem: str) -> pd.DataFrame:
    file = find(path, stem)
    if file is None:
        raise DataError(f"the file {stem}.csv (or .tsv, or either with .gz) is missing")
    frame = read_frame(file)
    need_columns(frame, ("x", "y"), file)
    return frame


def _stem(name: str) -> str:
    return next((name.removesuffix(end) for end in ENDINGS if name.endswith(end)), "")
