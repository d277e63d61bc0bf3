"""What cell2location is given: counts that are counts, of genes that spots and reference share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.abundance import Reference
from triptych.core.checks import Faults, listing
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Codes, Counts, Indices
from triptych.maths.counts import detected_in, gene_totals

FEWEST_CELLS: Final = 3  # of a type, so that it has a profile
SHOWN: Final = 3  # names of genes
HINT: Final = "It takes raw counts of spots and single cells whose genes are named alike."


@dataclass(frozen=True, eq=False)
class Shared:
    """Spots and single cells with the same genes.

    Parameters
    ----------
    spots
        Counts of the spots that have any, CSR of float32, shape (s, g).
    cells
        Counts of the single cells, CSR of float32, shape (m, g).
    genes
        Their names in alphabetical order, so that the order in the files changes nothing, shape (g,).
    held
        Which of all n spots are in ``spots``, shape (n,).
    """

    spots: sp.csr_matrix
    cells: sp.csr_matrix
    genes: NDArray[np.str_]
    held: NDArray[np.bool_]


@dataclass(frozen=True)
class GeneFilter:
    """Which genes of the reference are used (Kleshchevnikov et al. 2022; the package's ``filter_genes``).

    Parameters
    ----------
    cell_count_cutoff
        A gene seen in no more cells is left out.
    cell_percentage_cutoff2
        A gene seen in a larger share of the cells, between 0 and 1, is used.
    nonz_mean_cutoff
        One seen in fewer is used where its mean in the cells that have it is higher.
    """

    cell_count_cutoff: float
    cell_percentage_cutoff2: float
    nonz_mean_cutoff: float

    def keep(self, cells: sp.csr_matrix) -> NDArray[np.bool_]:
        """Which genes of counts of shape (m, g) are used, shape (g,)."""
        seen = detected_in(cells)
        mean = np.divide(gene_totals(cells), seen, out=np.zeros(len(seen)), where=seen > 0)
        common = seen > self.cell_percentage_cutoff2 * cells.shape[0]
        return np.asarray(common | ((seen > self.cell_count_cutoff) & (mean > self.nonz_mean_cutoff)))


def shared(counts: Counts, reference: Reference, genes: GeneFilter, fewest: int) -> Shared:
    """Spots and cells with the genes that are in both and pass the filter.

    Mitochondrial genes (named MT- or mt-) are left out, as their counts tell of damage and not of a type.

    Parameters
    ----------
    counts
        Of the spots, shape (n, .).
    reference
        Annotated single cells, m of them.
    genes
        Chooses genes from the single cells.
    fewest
        Genes below which nothing is estimated.

    Raises
    ------
    DataError
        When values are no counts, codes are missing, types have too few cells, genes are named twice, too few
        are shared or pass, or fewer than two spots have counts of them; all that can be seen together.
    """
    faults = Faults("cell2location")
    _check_counts(faults, "spots", counts.matrix, counts.genes, counts.batch)
    _check_counts(faults, "reference", reference.matrix, reference.genes, reference.batch)
    _check_types(faults, reference)
    names, left, right = np.intersect1d(counts.genes, reference.genes, return_indices=True)
    few = (
        f"spots and reference share {len(names)} genes, and {fewest} are needed; the spots have "
        f"{listing(counts.genes, SHOWN)}; the reference has {listing(reference.genes, SHOWN)}"
    )
    faults.check(len(names) >= fewest, few)
    faults.raise_if_any(hint=HINT)
    cells = _columns(reference.matrix, right)
    keep = genes.keep(cells) & ~np.char.startswith(np.char.upper(names.astype(np.str_)), "MT-")
    faults.check(
        int(keep.sum()) >= fewest,
        f"{keep.sum()} of {len(names)} shared genes are seen in enough cells, and {fewest} are needed",
    )
    spots = _columns(counts.matrix, left[keep])
    held = np.asarray(spots.sum(axis=1)).ravel() > 0
    faults.check(int(held.sum()) > 1, f"{held.sum()} spots have counts of the genes in use, and 2 are needed")
    faults.raise_if_any(hint="Use a larger reference or lower the cutoffs.")
    _tell_empty(held)
    return Shared(spots[held], cells[:, keep], names[keep], held)


def _check_counts(
    faults: Faults, whose: str, matrix: sp.csr_matrix, genes: NDArray[np.str_], batch: Codes
) -> None:
    """Values, names of genes and codes of batches of one of the two."""
    n, g = matrix.shape
    faults.check(g == len(genes), f"{whose}: {g} columns but {len(genes)} names of genes")
    faults.check(n == len(batch), f"{whose}: {n} rows but {len(batch)} batch codes")
    faults.check(not bool((batch < 0).any()), f"{whose}: some rows have no batch")
    finite = faults.check(
        bool(np.isfinite(matrix.data).all()), f"{whose}: some values are not finite"
    ) and faults.check(not bool((matrix.data < 0).any()), f"{whose}: some values are negative")
    whole = not finite or bool((matrix.data == np.round(matrix.data)).all())
    faults.check(whole, f"{whose}: some values are not whole numbers; they look normalised")
    known, times = np.unique(genes, return_counts=True)
    twice = known[times > 1]
    faults.check(not len(twice), f"{whose}: {len(twice)} genes are named twice: {listing(twice, SHOWN)}")


def _check_types(faults: Faults, reference: Reference) -> None:
    """A known type for every cell, and enough cells of every type."""
    types, n = reference.types, reference.matrix.shape[0]
    faults.check(len(types) == n, f"the reference has {n} cells but {len(types)} types of cells")
    unknown = int(((types < 0) | (types >= len(reference.names))).sum())
    faults.check(unknown == 0, f"{unknown} cells of the reference have no known type")
    faults.check(
        len(reference.names) > 1, f"the reference has {len(reference.names)} types, and 2 are needed"
    )
    sizes = np.bincount(types[types >= 0], minlength=len(reference.names))
    rare = [
        f"{name} ({size})" for name, size in zip(reference.names, sizes, strict=False) if size < FEWEST_CELLS
    ]
    words = f"types with fewer than {FEWEST_CELLS} cells: {listing(rare)}. Leave them out or merge them"
    faults.check(not rare, words)


def _columns(matrix: sp.csr_matrix, genes: Indices) -> sp.csr_matrix:
    """Some genes as float32 with every value stored once."""
    chosen = sp.csr_matrix(matrix)[:, genes].astype(np.float32)
    chosen.sum_duplicates()
    chosen.eliminate_zeros()
    return chosen


def _tell_empty(held: NDArray[np.bool_]) -> None:
    empty = int((~held).sum())
    if empty:
        words = f"cell2location: {empty} spots have no counts of the genes in use; their cells stay unknown."
        warnings.warn(words, TriptychWarning, stacklevel=4)
