"""Raw counts: what is wrong with them, and their one form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

LIMIT = np.iinfo(np.int32).max


def count_faults(counts: sp.csr_matrix, ids: pd.Index, genes: pd.Index) -> list[str]:
    """Say what keeps the values from being counts.

    Parameters
    ----------
    counts
        Shape (n, g).
    ids
        Names of the rows.
    genes
        Names of the columns.

    Returns
    -------
    One sentence for each kind of fault, with how many values have it and where the first lies.
    """
    if counts.data.dtype.kind == "b":
        return []
    if counts.data.dtype.kind not in "iuf":
        return [f"the counts are of type {counts.data.dtype}, not numbers"]
    values = counts.data
    with np.errstate(invalid="ignore"):
        kinds = {
            "missing (NaN or no number)": np.isnan(values),
            "infinite": np.isinf(values),
            "negative": np.isfinite(values) & (values < 0),
            "fractional": np.isfinite(values) & (values >= 0) & (values != np.floor(values)),
            f"above {LIMIT}": np.isfinite(values) & (values > LIMIT),
        }
    return [_sentence(kind, bad, counts, ids, genes) for kind, bad in kinds.items() if bad.any()]


def _sentence(
    kind: str, bad: NDArray[np.bool_], counts: sp.csr_matrix, ids: pd.Index, genes: pd.Index
) -> str:
    first = int(np.argmax(bad))
    row = int(np.searchsorted(counts.indptr, first, side="right")) - 1
    value: Any = counts.data[first]
    number = int(bad.sum())
    return (
        f"{number} {'count is' if number == 1 else 'counts are'} {kind}, "
        f"first {value:g} at {ids[row]}, gene {genes[counts.indices[first]]}"
    )


def as_counts(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Counts that have no faults, as CSR of int32 with sorted indices and no stored zeros."""
    whole = sp.csr_matrix(counts, dtype=np.int32)
    whole.sum_duplicates()
    whole.eliminate_zeros()
    return whole


def looks_like_counts(values: Any) -> bool:
    """Whether all values are whole and not negative; ``values`` is dense or sparse."""
    data = values.data if sp.issparse(values) else np.asarray(values)
    if data.dtype.kind in "ub":
        return True
    if data.dtype.kind not in "if":
        return False
    return bool(np.all(np.isfinite(data)) and np.all(data >= 0) and np.all(data == np.floor(data)))
