"""The matrix of Space Ranger: HDF5, or Matrix Market with its two lists."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata.utils import make_index_unique
from scipy.io import mmread

from triptych.core.errors import DataError
from triptych.readers.delimited import read_frame, readable

MATRIX: Final = "filtered_feature_bc_matrix"
GENES: Final = "Gene Expression"
Read = tuple[sp.csr_matrix, pd.Index, pd.DataFrame]


def read_matrix(folder: Path) -> Read:
    """Counts of genes in filtered barcodes.

    Returns
    -------
    Matrix of shape (n, g), barcodes, and a frame of genes by unique names with their ids.

    Raises
    ------
    DataError
        When there is no matrix or it is damaged.
    """
    h5, mtx = folder / f"{MATRIX}.h5", folder / MATRIX
    if h5.is_file():
        return read_h5(h5)
    if mtx.is_dir():
        return read_mtx(mtx)
    raise DataError(f"the file {h5.name} (or the folder {MATRIX}) is missing")


def read_h5(path: Path) -> Read:
    """Read ``filtered_feature_bc_matrix.h5``.

    Raises
    ------
    DataError
        When the file is damaged or of another form.
    """
    with readable(path), h5py.File(path, "r") as file:
        try:
            group, features = file["matrix"], file["matrix/features"]
            genes, barcodes = (int(size) for size in group["shape"][:])
            # columns of the file are barcodes, so its compressed columns are our compressed rows
            matrix = sp.csr_matrix(
                (group["data"][:], group["indices"][:], group["indptr"][:]), shape=(barcodes, genes)
            )
            ids = pd.Index(_text(group["barcodes"]))
            kinds = _text(features["feature_type"])
            return _genes_only(matrix, ids, _text(features["name"]), _text(features["id"]), kinds)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the file {path.name} is not a matrix of Space Ranger ({error})") from error


def read_mtx(folder: Path) -> Read:
    """Read ``matrix.mtx.gz``, ``features.tsv.gz`` and ``barcodes.tsv.gz``, compressed or not.

    Raises
    ------
    DataError
        When a file is missing or damaged, or their sizes differ.
    """
    path = _either(folder, "matrix.mtx")
    with readable(path), gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            matrix = sp.csr_matrix(mmread(file).T)
        except ValueError as error:
            raise DataError(f"the file {path.name} is no Matrix Market file ({error})") from error
    features = read_frame(_either(folder, "features.tsv"), header=False, index=False)
    barcodes = read_frame(_either(folder, "barcodes.tsv"), header=False, index=False)[0].astype(str)
    if matrix.shape != (len(barcodes), len(features)):
        raise DataError(
            f"matrix.mtx has {matrix.shape[1]} features and {matrix.shape[0]} barcodes, "
            f"its lists {len(features)} and {len(barcodes)}"
        )
    kinds = features[2].to_numpy(str) if 2 in features else np.full(len(features), GENES)
    names = features[1 if 1 in features else 0].to_numpy(str)
    return _genes_only(matrix, pd.Index(barcodes), names, features[0].to_numpy(str), kinds)


def _genes_only(matrix: sp.csr_matrix, ids: pd.Index, names: Any, gene_ids: Any, kinds: Any) -> Read:
    keep = np.flatnonzero(kinds == GENES)
    unique = make_index_unique(pd.Index(names[keep], dtype=object))  # two genes may have one symbol
    genes = pd.DataFrame({"gene_id": gene_ids[keep].astype(object)}, index=unique)
    return (matrix if len(keep) == matrix.shape[1] else matrix[:, keep]), ids, genes


def _text(values: h5py.Dataset) -> Any:
    return np.asarray(values.asstr()[:], dtype=object)


def _either(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DataError(f"the file {folder.name}/{name}.gz is missing")
