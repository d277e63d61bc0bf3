"""What every analysis of groups does on the way in, and says on the way out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.analysis import Material
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Codes, Counts, Indices, Matrix

NOTE: Final = (
    "Where clusters and what marks them come from the same counts, p-values are descriptive: they rank, "
    "they do not test (double dipping). Neighbouring observations are not independent either."
)
FEWEST: Final = 2  # members of a group


@dataclass(frozen=True, eq=False)
class Groups:
    """Which labelled observation belongs to which group that is large enough.

    Parameters
    ----------
    rows
        Positions of the labelled observations, shape (m,).
    codes
        Group of each of them, 0 … k-1, shape (m,); -1 = in a group of its own, only part of the rest.
    names
        Name of each group, k of them.
    """

    rows: Indices
    codes: Codes
    names: tuple[str, ...]

    @property
    def sizes(self) -> Indices:
        """Members of each group, shape (k,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))

    @property
    def members(self) -> sp.csr_matrix:
        """One row for each group with a 1 for each member, CSR of shape (k, m)."""
        inside = np.flatnonzero(self.codes >= 0)
        shape = (len(self.names), len(self.codes))
        return sp.csr_matrix((np.ones(len(inside)), (self.codes[inside], inside)), shape=shape)

    def means(self, x: Matrix) -> tuple[Matrix, Matrix]:
        """Mean of each group and of all others, two arrays of shape (k, d).

        Parameters
        ----------
        x
            Values of the labelled observations, shape (m, d).
        """
        inside, size = self.members @ x, self.sizes[:, None]
        return inside / size, (x.sum(axis=0) - inside) / (len(x) - size)


def given(analysis: str, material: Material) -> Counts:
    """The counts, or a refusal of material that does not fit together.

    Parameters
    ----------
    analysis
        Its name, to open the message.
    material
        What it looks at.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults, n = Faults(analysis), len(material.labels)
    if material.counts is None:
        raise DataError(f"{analysis}: no counts were given.", "In a recipe, read a study with layers:counts.")
    rows, columns = material.counts.matrix.shape
    faults.check(rows == n, f"there are counts of {rows} observations and labels of {n}.")
    sections = len(material.places.sample)
    faults.check(sections == n, f"there are places of {sections} observations and labels of {n}.")
    names = len(material.counts.genes)
    faults.check(names == columns, f"there are names of {names} genes and counts of {columns}.")
    most = int(material.labels.max(initial=-1))
    faults.check(most < len(material.names), f"code {most} has no name; there are {len(material.names)}.")
    faults.raise_if_any()
    return material.counts


def grouped(analysis: str, material: Material) -> Groups:
    """The groups that have at least `FEWEST` members; whoever is in another counts among the rest.

    Warns
    -----
    TriptychWarning
        When groups are left out.

    Raises
    ------
    DataError
        When fewer than two groups remain.
    """
    rows = np.flatnonzero(material.labels >= 0)
    labels = material.labels[rows]
    sizes = np.bincount(labels, minlength=len(material.names))
    kept = np.flatnonzero(sizes >= FEWEST)
    single = [material.names[code] for code in np.flatnonzero((sizes > 0) & (sizes < FEWEST))]
    names = tuple(material.names[code] for code in kept)
    if len(names) < 2:
        raise DataError(
            f"{analysis}: there must be two groups of at least {FEWEST} members to compare; "
            f"there is: {listing(names)}.",
            "Use labels that name more groups.",
        )
    if single:
        warnings.warn(
            f"{analysis}: groups of fewer than {FEWEST} members are left out and count among the rest: "
            f"{listing(single)}.",
            TriptychWarning,
            stacklevel=3,
        )
    renumbered = np.full(len(material.names), -1)
    renumbered[kept] = np.arange(len(kept))
    return Groups(rows, renumbered[labels], names)
