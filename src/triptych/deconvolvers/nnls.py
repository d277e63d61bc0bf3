"""Non-negative least squares on mean profiles of cell types: what other ways are measured against."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.abundance import Abundance, Reference
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, NumericsError, TriptychWarning
from triptych.core.protocols import Counts, Indices, Matrix, Vector
from triptych.maths.counts import checked, normalised
from triptych.maths.nonnegative import nonnegative

PSEUDO: Final = 1e-5  # share of a cell's molecules that two types must differ by to tell them apart
FEWEST: Final = 2  # types; of one there is nothing to tell


class Profiles(NamedTuple):
    """What the reference says of each type, over the genes that it shares with the spots.

    Attributes
    ----------
    share
        Mean over its cells of the share of each gene in the molecules of a cell, shape (t, g).
    found
        Share of its cells that have the gene, shape (t, g).
    size
        Mean number of molecules of its cells, shape (t,).
    """

    share: Matrix
    found: Matrix
    size: Vector


@dataclass(frozen=True)
class Nnls:
    """Each spot as a sum of profiles of cell types, none of them less than nothing.

    With s the mean profile of each type and y the spot, both as shares of molecules over the genes that both
    data have, it solves min Σg wg (yg - Σt xt stg)² with x ≥ 0. The weights are those of negative binomial
    counts of a median spot, wg = 1/(mg/N + dispersion · mg²), with mg the mean of stg over types and N the
    median of the totals of the spots.

    Genes are the markers of any type: of those that are seen in the spots and in enough cells of the type,
    the ones with the highest log₂ ratio, above 0, of its profile to the mean of the others', both raised by
    10⁻⁵.

    Parameters
    ----------
    genes_per_type
        Markers of each type; 0 takes every gene that marks it.
    detected
        Least share of the cells of a type that have a marker.
    dispersion
        Of the counts of a gene over what Poisson allows, relative to the square of its mean; 0 weighs as
        Poisson does.
    unit
        ``cells`` divides by the mean number of molecules of a cell of the type, so that types of large cells
        are not overrated; ``molecules`` leaves shares of molecules.
    proportions
        Whether each spot sums to 1. If not, ``cells`` are so many as would give the spot's molecules if they
        gave as many as in the reference.

    References
    ----------
    Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23.
    """

    genes_per_type: int = 100
    detected: float = 0.25
    dispersion: float = 0.1
    unit: Literal["cells", "molecules"] = "cells"
    proportions: bool = True

    takes: ClassVar[Literal["reference", "table"]] = "reference"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1137/1.9781611971217"

    def __post_init__(self) -> None:
        if self.genes_per_type < 0:
            raise ValueError("genes_per_type must not be negative; 0 takes all markers")
        if not 0 <= self.detected <= 1:
            raise ValueError("detected must lie between 0 and 1")
        if not 0 <= self.dispersion < np.inf:
            raise ValueError("dispersion must not be negative")

    @property
    def gives(self) -> str:
        """What the numbers are."""
        kind = "shares" if self.proportions else "numbers"
        return f"{kind} of {self.unit} by non-negative least squares"

    def deconvolve(self, counts: Counts, given: Reference, rng: np.random.Generator) -> Abundance:
        """Estimate how much of each type is in each spot.

        Parameters
        ----------
        counts
            Raw counts of n spots.
        given
            Annotated single cells of t types.
        rng
            Not used.

        Returns
        -------
        Shape (n, t), without intervals; NaN where a spot has no count of any marker.

        Warns
        -----
        TriptychWarning
            When there are such spots.

        Raises
        ------
        DataError
            When counts are none, genes are there twice or not shared, or a type has no cell or no marker; all
            faults together.
        NumericsError
            When a profile is a sum of others.
        """
        spots, cells = checked(counts.matrix), checked(given.matrix)
        here, there = _shared(counts, given)
        profiles = _profiles(cells[:, there], given)
        in_spots = np.asarray(spots.sum(axis=0), np.float64).ravel()[here] > 0
        genes = self._markers(profiles, in_spots, given.names)
        total = np.asarray(spots @ np.isin(np.arange(spots.shape[1]), here).astype(np.float64))
        share = profiles.share[:, genes]
        weighted = share * self._weights(share, float(np.median(total[total > 0])))
        # Over all genes of the spots, so that their matrix need not be copied.
        wide = np.zeros((spots.shape[1], len(share)))
        wide[here[genes]] = weighted.T
        products = np.asarray(spots @ wide)
        known = np.asarray(products.any(axis=1))
        x = np.full(products.shape, np.nan)
        x[known] = _solved(weighted @ share.T, products[known] / total[known, None], given.names)
        _say_unknown(int((~known).sum()), len(x))
        return Abundance(self._in_units(x, total, profiles.size), given.names)

    def _markers(self, profiles: Profiles, in_spots: NDArray[np.bool_], names: tuple[str, ...]) -> Indices:
        """Columns of the genes that mark any type, ascending."""
        share = profiles.share
        others = (share.sum(axis=0) - share) / (len(share) - 1)
        change = np.log2((share + PSEUDO) / (others + PSEUDO))
        change[~(in_spots & (profiles.found >= self.detected) & (change > 0))] = -np.inf
        bare = [name for name, row in zip(names, change, strict=True) if not np.isfinite(row).any()]
        if bare:
            raise DataError(
                f"nnls: no gene marks {listing(bare)}: none that the spots have is in {self.detected:.0%} of "
                "its cells and more common than in the other types.",
                "Merge it with the type that it resembles, or lower detected.",
            )
        best = np.argsort(-change, axis=1, kind="stable")[:, : self.genes_per_type or None]
        chosen = np.zeros(change.shape, bool)
        np.put_along_axis(chosen, best, np.isfinite(np.take_along_axis(change, best, axis=1)), axis=1)
        return np.flatnonzero(chosen.any(axis=0))

    def _weights(self, share: Matrix, total: float) -> Vector:
        """Inverse of the variance that the share of each gene has in a spot of that total."""
        mean = share.mean(axis=0)
        return np.asarray(1 / (mean / total + self.dispersion * mean**2))

    def _in_units(self, x: Matrix, total: Vector, size: Vector) -> Matrix:
        """Parts of the molecules of each spot, shape (n, t), as what was asked for."""
        x = x / size if self.unit == "cells" else x
        if self.proportions:
            return np.asarray(x / x.sum(axis=1, keepdims=True))
        return np.asarray(x * total[:, None])


def _shared(counts: Counts, reference: Reference) -> tuple[Indices, Indices]:
    """Columns of the genes that both have, in counts and in reference, after all checks of form."""
    faults = Faults("nnls")
    for what, of in (("the spots", counts), ("the cells of the reference", reference)):
        names, times = np.unique(of.genes, return_counts=True)
        doubles = [str(name) for name in names[times > 1]]
        faults.check(not doubles, f"{what} have genes more than once: {listing(doubles, 5)}")
    sizes = np.bincount(reference.types, minlength=len(reference.names))
    absent = [name for name, size in zip(reference.names, sizes, strict=True) if size == 0]
    faults.check(not absent, f"the reference has no cell of {listing(absent)}")
    t = len(reference.names)
    faults.check(t >= FEWEST, f"the reference has {t} type; of fewer than {FEWEST} there is nothing to tell")
    _, here, there = np.intersect1d(counts.genes, reference.genes, return_indices=True)
    if len(here) < t:
        faults.add(
            f"spots and reference share {len(here)} genes, fewer than types ({t}); the spots have "
            f"{listing(map(str, counts.genes), 3)}, the reference {listing(map(str, reference.genes), 3)}"
        )
    faults.raise_if_any()
    return here, there


def _profiles(cells: sp.csr_matrix, reference: Reference) -> Profiles:
    """Means over the cells of each type."""
    size = np.bincount(reference.types, minlength=len(reference.names)).astype(np.float64)
    n = len(reference.types)
    members = sp.csr_matrix((1 / size[reference.types], (reference.types, np.arange(n))), (len(size), n))
    share = (members @ normalised(cells, 1.0)).toarray()
    return Profiles(share, (members @ (cells > 0)).toarray(), np.asarray(members @ cells.sum(axis=1)).ravel())


def _solved(gram: Matrix, products: Matrix, names: tuple[str, ...]) -> Matrix:
    """Least squares, or which types cannot be told apart."""
    try:
        return nonnegative(gram, products)
    except NumericsError as error:
        length = np.sqrt(np.diag(gram))
        alike = gram / np.outer(length, length) - 2 * np.eye(len(gram))
        one, other = np.unravel_index(int(np.argmax(alike)), alike.shape)
        raise NumericsError(
            f"nnls: the types cannot be told apart; the most alike are {names[one]} and {names[other]}.",
            "Merge them, or take more genes_per_type.",
        ) from error


def _say_unknown(unknown: int, n: int) -> None:
    if unknown:
        warnings.warn(
            f"nnls: {unknown} of {n} spots have no count of any marker; nothing is known of them.",
            TriptychWarning,
            stacklevel=3,
        )
