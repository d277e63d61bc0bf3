"""What scVI is given: counts that are counts, of the genes that are chosen."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.aligners.door import check_batch
from triptych.core.checks import Faults
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Array, Codes, Indices
from triptych.maths.counts import detected_in
from triptych.maths.variable_genes import highly_variable

HINT: Final = "It takes raw counts: in a recipe, x: layers:counts."


def taken(x: Array, batch: Codes) -> tuple[sp.csr_matrix, Faults]:
    """The counts as CSR of float32, and what is wrong with them; the caller adds its own, and raises.

    Parameters
    ----------
    x
        Should be raw counts, shape (n, g), CSR or dense.
    batch
        Code of the batch of each row, shape (n,).
    """
    faults = Faults("scvi")
    counts = sp.csr_matrix(x)
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    values = counts.data
    whole = bool(np.isfinite(values).all()) and bool((values == np.round(values)).all())
    faults.check(whole, "some values are not whole numbers.")
    faults.check(not bool((values < 0).any()), "some values are negative.")
    check_batch(faults, counts, batch)
    empty = int((counts.sum(axis=1) == 0).sum())
    faults.check(empty == 0, f"{empty} rows have no counts. Remove them.")
    return counts.astype(np.float32), faults


def chosen(counts: sp.csr_matrix, batch: Codes, *, hvg: int, min_spots: int) -> Indices:
    """Columns of the genes to use, ascending.

    Parameters
    ----------
    counts
        Shape (n, g).
    batch
        Shape (n,); variable genes are ranked in each batch.
    hvg
        Number of highly variable genes; 0 for all.
    min_spots
        Genes seen in fewer rows are left out first.

    Raises
    ------
    DataError
        When no gene is left.
    """
    kept = np.flatnonzero(detected_in(counts) >= min_spots)
    if not len(kept):
        raise DataError(
            f"scvi: none of {counts.shape[1]} genes is seen in {min_spots} rows.", "Lower min_spots."
        )
    return kept[highly_variable(counts[:, kept], hvg, batch)] if hvg else kept


def of_genes(counts: sp.csr_matrix, genes: Indices) -> tuple[sp.csr_matrix, NDArray[np.bool_]]:
    """The columns of the chosen genes, and which rows have counts of them, shape (n,).

    Rows without are told of: nothing is known of where they lie.

    Parameters
    ----------
    counts
        Shape (n, g).
    genes
        Columns, ascending.
    """
    used = counts if len(genes) == counts.shape[1] else counts[:, genes]
    held = np.asarray(used.sum(axis=1)).ravel() > 0
    empty = int((~held).sum())
    if empty:
        words = (
            f"scvi: {empty} rows have no counts of the {len(genes)} genes in use; all get the code of none."
        )
        warnings.warn(words, TriptychWarning, stacklevel=3)
    return used, held
