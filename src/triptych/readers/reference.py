"""Annotated single cells, from an h5ad: what deconvolvers learn the profiles of cell types from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata.io import read_elem
from anndata.utils import make_index_unique

from triptych.core.abundance import Reference
from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Codes
from triptych.readers.counting import as_counts, count_faults, looks_like_counts
from triptych.readers.delimited import readable
from triptych.readers.layouts import UNLABELLED
from triptych.readers.truths import known_labels

# Names of columns in the order in which they are tried, without capitals, spaces, dots and the like.
TYPES: Final = (
    "celltype", "celltypes", "celltypemajor", "annotation", "annotations", "subset", "label", "labels", "ct",
    "cluster", "clusters", "leiden", "louvain", "seuratclusters",
)  # fmt: skip
BATCHES: Final = ("batch", "sample", "sampleid", "origident", "donor", "donorid", "patient", "individual")
NO_TYPE: Final = (*UNLABELLED, "nan", "None")
FEWEST: Final = 2  # cells of a type, and types of a reference
PLACES: Final = {"layers:counts": ("layers/counts", "var"), "raw.X": ("raw/X", "raw/var"), "X": ("X", "var")}


def read_reference(path: Path, *, types: str = "", batch: str = "") -> Reference:
    """Read raw counts of single cells with their types.

    Counts are taken from layers:counts, else from raw.X or X where these are whole numbers; nothing else of
    the file is read but its obs and var.

    Parameters
    ----------
    path
        An h5ad.
    types
        Column of obs with the types; empty for the first usual one of `TYPES`.
    batch
        Column of obs with the batches; empty for the first usual one of `BATCHES`, or one batch for all.

    Returns
    -------
    Cells that have a type, in the order of the file; types in the order of the alphabet.

    Warns
    -----
    TriptychWarning
        When cells are left out, as they have no type or are the only one of theirs.

    Raises
    ------
    DataError
        When the file is damaged or no AnnData, a column is missing, the counts are none or genes are there
        more than once; all faults together.
    """
    faults = Faults(str(path))
    try:
        with readable(path), _opened(path) as file:
            obs = _frame(file, "obs")
            labels = _labels(obs, types, faults)
            codes = _batches(obs, batch, faults)
            counts, var = _counts(file, faults)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the file is no AnnData ({error})") from error
    genes = _genes(var, faults)
    faults.found += count_faults(counts, obs.index, genes)
    faults.raise_if_any()
    keep = _with_type(labels, str(path))
    kept = labels[keep].cat.remove_unused_categories()
    return Reference(
        matrix=as_counts(counts if keep.all() else counts[np.flatnonzero(keep)]),
        genes=genes.to_numpy().astype(np.str_),
        types=kept.cat.codes.to_numpy().astype(np.int64),
        names=tuple(str(name) for name in kept.cat.categories),
        batch=pd.factorize(codes[keep], sort=True)[0],
    )


def _opened(path: Path) -> h5py.File:
    """The file, if it holds a table."""
    if not path.is_file():
        raise DataError(f"the file {path.name} is missing")
    file = h5py.File(path, "r")
    if {"obs", "var"} <= set(file):
        return file
    held = listing(file)
    file.close()
    raise DataError(f"the file is no AnnData; it holds {held}")


def _frame(file: h5py.File, key: str) -> pd.DataFrame:
    frame = read_elem(file[key])
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"its {key} is no table")
    return frame


def _column(obs: pd.DataFrame, usual: tuple[str, ...]) -> str:
    """The first column of a usual name, or empty."""
    plain = {"".join(filter(str.isalnum, str(name).lower())): str(name) for name in reversed(obs.columns)}
    return next((plain[name] for name in usual if name in plain), "")


def _labels(obs: pd.DataFrame, name: str, faults: Faults) -> pd.Series:
    """The type of each cell, categorical, missing where none is known."""
    columns = [str(column) for column in obs.columns]
    if name and name not in columns:
        faults.add(f"there is no column {name} with the types. {nearest(name, columns)}")
        return pd.Series(dtype="category")
    column = name or _column(obs, TYPES)
    if not column:
        faults.add(
            f"there is no column of types: none of obs has a usual name such as cell_type. There is: "
            f"{listing(columns)}. Name the one that holds them"
        )
        return pd.Series(dtype="category")
    labels = known_labels(obs[column], NO_TYPE)
    if pd.api.types.is_float_dtype(obs[column]) and (obs[column].dropna() % 1 != 0).any():
        faults.add(f"the column {column} holds numbers, not types")
    sizes = labels.value_counts()
    number = int((sizes >= FEWEST).sum())
    faults.check(
        number >= FEWEST,
        f"the column {column} has {number} types of at least {FEWEST} cells; there must be {FEWEST}",
    )
    return labels


def _batches(obs: pd.DataFrame, name: str, faults: Faults) -> Codes:
    """Code of the batch of each cell."""
    columns = [str(column) for column in obs.columns]
    if name and name not in columns:
        faults.add(f"there is no column {name} with the batches. {nearest(name, columns)}")
        return np.empty(0, np.int64)
    column = name or _column(obs, BATCHES)
    if not column:
        return np.zeros(len(obs), np.int64)
    codes = pd.factorize(obs[column], sort=True)[0]
    missing = int((codes < 0).sum())
    faults.check(missing == 0, f"{missing} cells have no batch in the column {column}")
    return codes


def _counts(file: h5py.File, faults: Faults) -> tuple[sp.csr_matrix, pd.DataFrame]:
    """Raw counts and the table of their genes, from the first place that has whole numbers."""
    there = [place for place, (matrix, _) in PLACES.items() if matrix in file]
    for place in there:
        matrix, var = PLACES[place]
        values: Any = read_elem(file[matrix])
        # Who names counts means them: it is then said what is wrong with them.
        if place == "layers:counts" or looks_like_counts(values):
            return sp.csr_matrix(values), _frame(file, var)
    faults.add(
        "there are no raw counts: looked in layers:counts, raw.X and X; "
        + (f"{' and '.join(there)} have values that are no whole numbers ≥ 0" if there else "none is there")
    )
    return sp.csr_matrix((0, 0)), _frame(file, "var")


def _genes(var: pd.DataFrame, faults: Faults) -> pd.Index:
    """Names of the genes, each once."""
    genes: pd.Index = pd.Index(var.index.astype(str))
    if not genes.is_unique and {"gene_id", "gene_ids"} & set(var.columns):
        genes = make_index_unique(genes)  # as Cell Ranger writes them: two genes may have one symbol
    doubles = genes[genes.duplicated()].unique()
    faults.check(
        genes.is_unique, f"{len(doubles)} gene names are there more than once: {listing(doubles, 5)}"
    )
    return genes


def _with_type(labels: pd.Series, where: str) -> np.ndarray:
    """Which cells have a type that others have too; says how many have not."""
    sizes = labels.value_counts()
    alone = sorted(str(name) for name in sizes.index[(sizes > 0) & (sizes < FEWEST)])
    bare = int(labels.isna().sum())
    said = [f"{bare} have no type"] if bare else []
    said += [f"{len(alone)} are the only ones of their type ({listing(alone, 5)})"] if alone else []
    if said:
        warnings.warn(
            f"{where}: of {len(labels)} cells some are left out: {', '.join(said)}.",
            TriptychWarning,
            stacklevel=3,
        )
    return np.asarray(labels.notna() & ~labels.isin(alone))
