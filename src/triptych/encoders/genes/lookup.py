"""Finding the genes of a fit in other counts: by name, in any order."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts, Indices, Vector
from triptych.maths.counts import checked

MOST_MISSING = 0.5  # of the weight of all genes; beyond, what is left is not the space of the fit
NAMED = 3  # genes named in a message


class Found(NamedTuple):
    """The genes of a fit that other counts have.

    Attributes
    ----------
    present
        Which of the genes of the fit, ascending, shape (p,).
    matrix
        Raw counts of these genes in that order, CSR of shape (n, p).
    """

    present: Indices
    matrix: sp.csr_matrix


class Missing(NamedTuple):
    """What it means that genes are missing.

    Attributes
    ----------
    weight
        How much each gene of the fit matters, not negative, shape (g,).
    noun
        What the weight is a share of.
    instead
        What stands for a gene that is missing, as a sentence.
    """

    weight: Vector
    noun: str
    instead: str


def find(encoder: str, counts: Counts, genes: tuple[str, ...], missing: Missing) -> Found:
    """Take the genes of a fit from other counts; other genes are left out.

    Parameters
    ----------
    encoder
        Its name, to open the messages.
    counts
        Raw counts of n observations.
    genes
        Of the fit.
    missing
        What to say of genes that are not there.

    Warns
    -----
    TriptychWarning
        When genes of the fit are missing.

    Raises
    ------
    DataError
        When the counts cannot be used, a gene stands there twice, or genes that carry more than
        `MOST_MISSING` of the weight are missing.
    """
    matrix = checked(counts.matrix)
    columns = _columns(encoder, counts, genes)
    _tell_missing(encoder, counts, genes, columns < 0, missing)
    present = np.flatnonzero(columns >= 0)
    return Found(present, chosen(matrix, columns[present]))


def chosen(matrix: sp.csr_matrix, columns: Indices) -> sp.csr_matrix:
    """Columns in the order given; the matrix itself, not a copy, when that is all of them as they are."""
    if np.array_equal(columns, np.arange(matrix.shape[1])):
        return matrix
    matrix = matrix[:, columns]
    matrix.sort_indices()  # sums then run in one order, whatever the order of the genes was
    return matrix


def in_columns(matrix: sp.csr_matrix, present: Indices, g: int) -> sp.csr_matrix:
    """Put the columns of genes that were found back where the fit had them.

    Parameters
    ----------
    matrix
        CSR of shape (n, p).
    present
        Which of the genes of the fit the columns are, ascending, shape (p,).
    g
        Genes of the fit.

    Returns
    -------
    CSR of shape (n, g); a column that was not found is zero.
    """
    return sp.csr_matrix((matrix.data, present[matrix.indices], matrix.indptr), shape=(matrix.shape[0], g))


def depth(target_sum: float, totals: Vector, present: Indices) -> float:
    """The total to which observations are brought when only some genes of the fit are there.

    Parameters
    ----------
    target_sum
        Of the fit, for all its genes.
    totals
        Counts of each gene in the fit, shape (g,).
    present
        Which of the genes are there.
    """
    return float(target_sum * (totals[present].sum() / totals.sum()))


def _columns(encoder: str, counts: Counts, genes: tuple[str, ...]) -> Indices:
    """Where in the counts each gene of the fit stands, -1 for nowhere, shape (g,)."""
    names = counts.genes.tolist()
    column = {gene: place for place, gene in enumerate(names)}
    if len(column) < len(names):
        once, times = np.unique(counts.genes, return_counts=True)
        twice = sorted(set(once[times > 1].tolist()) & set(genes))
        if twice:
            raise DataError(
                f"{encoder}: the counts have several columns for {listing(twice, NAMED)}.",
                "Give each gene one name.",
            )
    return np.array([column.get(gene, -1) for gene in genes], np.intp)


def _tell_missing(
    encoder: str, counts: Counts, genes: tuple[str, ...], gone: NDArray[np.bool_], missing: Missing
) -> None:
    """Warn of genes that are missing, or refuse when too much is."""
    if not gone.any():
        return
    absent = [genes[place] for place in np.flatnonzero(gone)]
    # A weight of nothing but zeros cannot tell genes apart; then each counts alike.
    weight = missing.weight if missing.weight.any() else np.ones(len(genes))
    share = weight[gone].sum() / weight.sum()
    fact = (
        f"{encoder}: {len(absent)} of {len(genes)} genes of the fit are missing from the counts "
        f"({listing(absent, NAMED)}), {share:.1%} of {missing.noun}"
    )
    if share > MOST_MISSING:
        raise DataError(
            f"{fact}; at most {MOST_MISSING:.0%} may be. The counts have {listing(counts.genes, NAMED)}.",
            "Name the genes as in the fit, or fit again on genes that both have.",
        )
    warnings.warn(f"{fact}. {missing.instead}", TriptychWarning, stacklevel=4)
