"""Which column holds the known labels, and which of its values mean «not known»."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from triptych.core.checks import Faults, listing
from triptych.readers.layouts import ReadOptions

USUAL: Final = (
    "truth",
    "label",
    "layer",
    "annotation",
    "cell_type",
    "celltype",
    "region",
    "leiden_final",
    "cluster_annotation",
    "domain",
)


def truth_column(obs: pd.DataFrame, options: ReadOptions) -> str:
    """The column that the options name, else the first usual one, else empty.

    Parameters
    ----------
    obs
        Columns of the observations.
    options
        May name the column; it is not checked that it exists.
    """
    if options.truth:
        return options.truth
    lower = {str(column).lower(): str(column) for column in reversed(obs.columns)}
    return next((lower[name] for name in USUAL if name in lower), "")


def known_labels(column: pd.Series, unlabelled: tuple[str, ...]) -> pd.Series:
    """The labels as a categorical of text, NaN where not known; shape (n,)."""
    missing = column.isna().to_numpy()
    text = column.astype(object).astype(str).str.strip()
    if pd.api.types.is_float_dtype(column) and np.all(column.dropna() % 1 == 0):
        text = column.astype("Int64").astype(object).astype(str)  # 3.0 is an integer beside a missing value
    known = text.mask(missing | text.isin([word.strip() for word in unlabelled]).to_numpy())
    return known.astype(pd.CategoricalDtype(sorted(known.dropna().unique())))


def truth_of(
    obs: pd.DataFrame, options: ReadOptions, faults: Faults, *, never: tuple[str, ...] = ()
) -> tuple[str, pd.Series | None]:
    """Name of the truth column and its labels; None when nothing is known.

    A column that the options name must exist and have a label.
    """
    name = truth_column(obs, options)
    if not name:
        return "", None
    if name not in obs:
        columns = [str(c) for c in obs.columns if c not in {"sample", "donor", "batch"}]
        faults.add(
            f"there is no column {name} to take the truth from; the observations have {listing(columns)}"
        )
        return "", None
    labels = known_labels(obs[name], options.unlabelled)
    if labels.notna().any():
        return name, labels
    faults.check(
        not options.truth, f"no value of the column {name} is a label: all are missing or unlabelled"
    )
    return "", None
