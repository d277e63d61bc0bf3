"""What every analysis of known types does on the way in, and how it names clusters."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.analysis import Material
from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.protocols import Indices
from triptych.maths.matching import shared

NONE: Final = "–"  # no cluster is called after the type


def met(analysis: str, material: Material) -> sp.csr_matrix:
    """How many observations each known type and group share.

    Parameters
    ----------
    analysis
        Its name, to open the message.
    material
        Labels and known labels; observations that lack either are not counted.

    Returns
    -------
    Whole numbers, CSR of shape (types, groups).

    Raises
    ------
    DataError
        When there are no known labels, or none that meets a group; when lengths differ.
    """
    if material.truth is None:
        raise DataError(
            f"{analysis}: no known labels were given.", "In a recipe, read a study with obs:truth."
        )
    faults, truth = Faults(analysis), material.truth
    labels = len(material.labels)
    faults.check(len(truth) == labels, f"there are known labels of {len(truth)} rows and labels of {labels}.")
    for codes, names in ((truth, material.truth_names), (material.labels, material.names)):
        most = int(codes.max(initial=-1))
        faults.check(most < len(names), f"code {most} has no name; there are {len(names)}.")
    faults.raise_if_any()
    table = shared(truth, material.labels)
    if not table.nnz:
        raise DataError(f"{analysis}: no observation has both a known label and a group.", "Label some.")
    return table


def by_number(table: sp.csr_matrix) -> list[int]:
    """The types that occur, those with most observations first.

    Parameters
    ----------
    table
        Counts, CSR of shape (types, groups).
    """
    size = np.asarray(table.sum(axis=1)).ravel()
    return [int(row) for row in np.argsort(-size, kind="stable") if size[row]]


def called(types: Indices, names: tuple[str, ...], order: list[int]) -> list[str]:
    """Names of the clusters of each type, in the order of their codes.

    Parameters
    ----------
    types
        Type of each cluster, shape (clusters,); -1 = none.
    names
        Of the clusters.
    order
        The types, one result for each.
    """
    return [", ".join(names[code] for code in np.flatnonzero(types == row)) or NONE for row in order]
