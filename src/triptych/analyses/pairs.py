"""What the analyses of pairs of groups in a space share: the door, the scale, and the threads."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import false_discovery_control

from triptych.analyses.groups import FEWEST, grouped
from triptych.core.analysis import Material
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Array, Matrix, Vector
from triptych.maths.neighbours import threads
from triptych.maths.threads import one_thread

NOTE: Final = (
    "Permutations exchange single observations, but neighbours, and those of one donor, are not independent; "
    "and where groups were found in the same space they differ by construction. So p-values are descriptive, "
    "and the smallest of them says how many permutations were drawn: look at R² for the size of a difference."
)
Result = dict[str, Any]  # column → value
Work = Callable[[Matrix, Matrix, np.random.Generator], Result]


@dataclass(frozen=True, eq=False)
class Parts:
    """The rows of each group.

    Parameters
    ----------
    names
        Of the groups, k of them.
    rows
        Of each group, shape (n_k, d); each group in an order that does not depend on that of the study.
    """

    names: tuple[str, ...]
    rows: tuple[Array, ...]


def check_permutations(permutations: int) -> None:
    """Refuse a test without permutations.

    Raises
    ------
    ValueError
        When there is none.
    """
    if permutations < 1:
        raise ValueError("permutations must be 1 or more; 999 gives p-values from 0.001")


def parted(analysis: str, material: Material, *, standardise: bool, rng: np.random.Generator) -> Parts:
    """The labelled rows of the space, group by group.

    Parameters
    ----------
    analysis
        Its name, to open the message.
    material
        Labels and a space, dense or CSR.
    standardise
        Whether to divide columns by their standard deviation over all rows of the groups, and to leave out
        constant ones. CSR is not centred: nothing that is compared depends on where zero lies.
    rng
        Draws a direction along which rows are ordered.

    Warns
    -----
    TriptychWarning
        When groups of fewer than two members are left out.

    Raises
    ------
    DataError
        When there is no space, lengths differ, values are not finite, there are no two groups, or all columns
        are constant.
    """
    x = _space(analysis, material)
    groups = grouped(analysis, _without_singles(analysis, material))
    x = x[groups.rows].astype(np.float64)
    varies = _plain(x.max(axis=0)) > _plain(x.min(axis=0))
    if not varies.any():
        raise DataError(
            f"{analysis}: all {x.shape[1]} columns are constant over the {x.shape[0]} rows of the groups.",
            "Name a space in which observations differ.",
        )
    if standardise:
        x = _scaled(x[:, varies])
    # The same generator meets the same rows in the same order, whatever the order of the study.
    order = np.argsort(np.asarray(x @ rng.standard_normal(x.shape[1])), kind="stable")
    codes = groups.codes[order]
    return Parts(groups.names, tuple(x[order[codes == code]] for code in range(len(groups.names))))


def each_pair(parts: Parts, work: Work, rng: np.random.Generator) -> pd.DataFrame:
    """One row per pair of groups, in the order of their names' codes, with Benjamini and Hochberg's padj.

    Parameters
    ----------
    parts
        The rows of each group.
    work
        Compares the dense rows of two groups and returns further columns, ``pvalue`` among them. Each pair
        has a generator of its own, so results do not depend on the number of threads (``OMP_NUM_THREADS``).
    rng
        Parent of these generators.
    """
    pairs = list(combinations(range(len(parts.names)), 2))

    def compare(pair: tuple[int, int], own: np.random.Generator) -> Result:
        one, other = (dense(parts.rows[code]) for code in pair)
        named = {"group": parts.names[pair[0]], "other": parts.names[pair[1]]}
        return {**named, "n": len(one), "n_other": len(other), **work(one, other, own)}

    workers = threads()  # asked before OpenMP is held to one
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        table = pd.DataFrame(list(pool.map(compare, pairs, rng.spawn(len(pairs)))))
    table["padj"] = false_discovery_control(table["pvalue"])
    table.attrs["note"] = NOTE
    return table.astype({"group": object, "other": object})


def _space(analysis: str, material: Material) -> Array:
    """The space, or a refusal of material that does not fit together."""
    if material.x is None:
        raise DataError(f"{analysis}: no space was given.", "In a recipe, name one with x.")
    x, n = material.x, len(material.labels)
    faults = Faults(analysis)
    faults.check(x.shape[0] == n, f"there is a space of {x.shape[0]} rows and labels of {n}.")
    most = int(material.labels.max(initial=-1))
    faults.check(most < len(material.names), f"code {most} has no name; there are {len(material.names)}.")
    stored = x.data if sp.issparse(x) else x
    bad = int((~np.isfinite(stored)).sum())
    faults.check(bad == 0, f"{bad} values of the space are not finite.")
    faults.raise_if_any()
    return x


def _without_singles(analysis: str, material: Material) -> Material:
    """Labels only of groups that have a spread."""
    labels, count = material.labels, len(material.names)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    single = np.flatnonzero((sizes > 0) & (sizes < FEWEST))
    if not len(single):
        return material
    warnings.warn(
        f"{analysis}: groups of fewer than {FEWEST} members are left out: "
        f"{listing(material.names[code] for code in single)}.",
        TriptychWarning,
        stacklevel=4,
    )
    return replace(material, labels=np.where(np.isin(labels, single), -1, labels))


def _scaled(x: Array) -> Array:
    """Columns of standard deviation 1; dense ones of mean 0 too."""
    mean = _plain(x.mean(axis=0))
    if not sp.issparse(x):
        x = x - mean
        return np.asarray(x / np.sqrt(np.einsum("ij,ij->j", x, x) / len(x)))
    deviation = np.sqrt(_plain(sp.csr_matrix.power(x, 2).mean(axis=0)) - mean**2)
    return sp.csr_matrix(x @ sp.diags_array(1 / deviation))


def _plain(row: Any) -> Vector:
    """A row of one value per column as an array, whatever sparse matrices give."""
    return np.asarray(row.toarray() if sp.issparse(row) else row).ravel()


def dense(x: Array) -> Matrix:
    """The rows of one group, whatever form the space has."""
    return sp.csr_matrix.toarray(x) if sp.issparse(x) else np.asarray(x)
