"""Pseudo-spots: cells of a reference mixed in known numbers, against which deconvolution is measured."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.abundance import Abundance, Reference
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Counts, Indices, Matrix, Vector

FEWEST: Final = 2  # cells of a type that can be halved
AT_ONCE: Final = 2**24  # values of a block of spots, so that whole molecules and rates take some 100 MB


def mixed(
    reference: Reference,
    rng: np.random.Generator,
    *,
    spots: int,
    cells: tuple[int, int] = (5, 10),
    depth: float | tuple[float, float] = 1.0,
    types: tuple[int, int] = (1, 5),
    distortion: float = 0.0,
) -> tuple[Counts, Abundance]:
    """Sum the counts of random cells, spot by spot, and lose or distort part of them.

    A spot has a random set of types, shares of them that are uniform on the simplex, and cells drawn by these
    shares; cells of one type are drawn with replacement. Of gene g in spot s each molecule is seen ⌊r⌋ times
    and once more with chance r - ⌊r⌋, with r = depthₛ · exp(distortion · zg) and zg standard normal: what a
    platform does to a gene, the same in all spots. With r = 1 nothing is lost, with r < 1 this is binomial.

    Parameters
    ----------
    reference
        Annotated single cells.
    rng
        Draws everything.
    spots
        How many to make.
    cells
        Fewest and most cells of a spot; any number between is as likely.
    depth
        Share of the molecules that a spot keeps, or the lowest and highest; any between is as likely.
    types
        Fewest and most types that a spot may have, as far as there are so many; few cells may hold fewer.
    distortion
        Standard deviation, over genes, of the natural logarithm of the effect of the platform.

    Returns
    -------
    Counts, CSR of int32, shape (spots, g), all of one batch; and the numbers of cells of each type, shape
    (spots, t), with no interval, as they are known.

    Raises
    ------
    DataError
        When a range is none, or a type of the reference has no cell; all faults together.
    """
    low, high = depth if isinstance(depth, tuple) else (depth, depth)
    faults = Faults("pseudo-spots")
    faults.check(spots >= 1, f"there must be at least 1, not {spots}")
    faults.check(1 <= cells[0] <= cells[1], f"{cells} is no range of numbers of cells")
    faults.check(0 < low <= high < np.inf, f"({low:g}, {high:g}) is no range of shares above 0")
    faults.check(1 <= types[0] <= types[1], f"{types} is no range of numbers of types")
    faults.check(0 <= distortion < np.inf, f"the distortion is {distortion:g}; it must not be negative")
    sizes = np.bincount(reference.types, minlength=len(reference.names))
    absent = [name for name, size in zip(reference.names, sizes, strict=True) if size == 0]
    faults.check(not absent, f"the reference has no cell of {listing(absent)}")
    faults.raise_if_any()
    spot = np.repeat(np.arange(spots), rng.integers(cells[0], cells[1] + 1, spots))
    kind = _kinds(_shares(spots, len(sizes), types, rng), spot, rng)
    numbers = np.bincount(spot * len(sizes) + kind, minlength=spots * len(sizes)).reshape(spots, -1)
    chosen = sp.csr_matrix(
        (np.ones(len(spot), np.int64), (spot, _cells(reference.types, sizes, kind, rng))),
        shape=(spots, len(reference.types)),
    )
    effect = np.exp(distortion * rng.standard_normal(len(reference.genes)))
    share, matrix = rng.uniform(low, high, spots), reference.matrix.astype(np.int64)
    step = max(AT_ONCE // len(effect), 1)
    blocks = [slice(first, first + step) for first in range(0, spots, step)]
    parts = [_seen(sp.csr_matrix(chosen[rows] @ matrix), share[rows], effect, rng) for rows in blocks]
    counts = Counts(sp.vstack(parts, "csr"), reference.genes, np.zeros(spots, np.int64))
    return counts, Abundance(numbers.astype(np.float64), reference.names)


def _shares(spots: int, t: int, types: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Share of each type in each spot, most of them 0, shape (spots, t)."""
    many = rng.integers(min(types[0], t), min(types[1], t) + 1, spots)
    order = np.argsort(np.argsort(rng.random((spots, t)), axis=1), axis=1)
    weight = rng.standard_exponential((spots, t)) * (order < many[:, None])
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _kinds(shares: Matrix, spot: Codes, rng: np.random.Generator) -> Codes:
    """The type of each cell, drawn by the shares of its spot."""
    upto = np.cumsum(shares, axis=1)
    upto /= upto[:, -1:]  # so that rounding leaves no draw beyond the last
    # The first type whose upper bound lies above the draw: one of share 0 has the bound of its neighbour.
    return np.asarray((upto[spot] <= rng.random(len(spot))[:, None]).sum(axis=1))


def _cells(types: Codes, sizes: Indices, kind: Codes, rng: np.random.Generator) -> Indices:
    """A random row of the reference of each type asked for."""
    rows = np.argsort(types, kind="stable")
    first = np.cumsum(sizes) - sizes
    return np.asarray(rows[first[kind] + rng.integers(0, sizes[kind])])


def _seen(whole: sp.csr_matrix, share: Vector, effect: Vector, rng: np.random.Generator) -> sp.csr_matrix:
    """What is left of each count, CSR of int32 with sorted indices and no stored zeros."""
    whole.sort_indices()
    rate = np.repeat(share, np.diff(whole.indptr)) * effect[whole.indices]
    times = np.floor(rate)
    data = whole.data * times.astype(np.int64) + rng.binomial(whole.data, rate - times)
    seen = sp.csr_matrix((data.astype(np.int32), whole.indices, whole.indptr), shape=whole.shape)
    seen.eliminate_zeros()
    return seen


def halves(reference: Reference, rng: np.random.Generator) -> tuple[Reference, Reference]:
    """Two references without a common cell, each with half the cells of every type, up to one.

    Parameters
    ----------
    reference
        Annotated single cells.
    rng
        Draws the halves.

    Raises
    ------
    DataError
        When a type has fewer than two cells.
    """
    sizes = np.bincount(reference.types, minlength=len(reference.names))
    few = [name for name, size in zip(reference.names, sizes, strict=True) if size < FEWEST]
    if few:
        raise DataError(
            f"The reference has fewer than {FEWEST} cells of {listing(few)}; these cannot be halved.",
            "Leave these types out, or merge them with others.",
        )
    order = rng.permutation(len(reference.types))
    order = order[np.argsort(reference.types[order], kind="stable")]
    first = np.cumsum(sizes) - sizes
    odd = (np.arange(len(order)) - np.repeat(first, sizes)) % 2 == 1
    one, other = (np.sort(order[part]) for part in (~odd, odd))
    return _rows(reference, one), _rows(reference, other)


def _rows(reference: Reference, rows: Indices) -> Reference:
    return Reference(
        reference.matrix[rows], reference.genes, reference.types[rows], reference.names, reference.batch[rows]
    )
