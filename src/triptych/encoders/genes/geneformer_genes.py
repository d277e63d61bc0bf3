"""Gene names of the data → the genes of Geneformer's vocabulary, which are human and known by Ensembl ids."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Indices
from triptych.encoders.genes import geneformer_dictionaries as dictionaries
from triptych.encoders.genes.geneformer_vocabulary import Vocabulary

LEAST_KNOWN: Final = 0.1  # share of the genes below which the names are taken to be of another kind
MOST_FOREIGN: Final = 0.5
HUMAN: Final = re.compile(r"ENSG\d+")
FOREIGN: Final = re.compile(r"ENS[A-Z]{3,4}G\d+|[A-Z][a-z][\w-]*")  # ENSMUSG00000029580, or Actb
NAMED: Final = 3  # genes named in a message


def orthologues(path: str) -> dict[str, str]:
    """Name in the data → human name, from the first two columns of a table.

    Raises
    ------
    DataError
        When there is no such table, or it gives a gene several others.
    """
    place = Path(path).expanduser()
    if place.suffix not in dictionaries.BETWEEN or not place.is_file():
        ends = " or ".join(dictionaries.BETWEEN)
        raise DataError(
            f"orthologues: {path} is not a file {ends}.", "Give one with two columns: mouse, human."
        )
    try:
        pairs = {(_bare(one), other) for one, other in dictionaries.rows(place) if one and other}
    except ValueError as error:
        raise DataError(
            f"orthologues: {path} cannot be read: {error}.", "Give two columns: mouse, human."
        ) from error
    held = dict(pairs)
    if len(held) < len(pairs):
        seen = sorted(one for one, _ in pairs)
        several = sorted({one for one, following in pairwise(seen) if one == following})
        raise DataError(
            f"orthologues: {path} gives several genes to {listing(several, NAMED)}.", "Keep one for each."
        )
    return held


def known(
    genes: NDArray[np.str_], matrix: sp.csr_matrix, words: Vocabulary, pairs: dict[str, str]
) -> tuple[Indices, NDArray[np.str_]]:
    """Columns of the genes that the vocabulary has, and their Ensembl ids.

    Parameters
    ----------
    genes
        Symbols or Ensembl ids, with or without a version; shape (g,).
    matrix
        Raw counts of shape (n, g), of which a message says how many are known.
    words
        The dictionaries.
    pairs
        From `orthologues`; empty where there are none.

    Raises
    ------
    DataError
        When most names are of another species, or fewer than `LEAST_KNOWN` of the genes are known.

    Warns
    -----
    TriptychWarning
        When not all genes are known.
    """
    bare = [pairs.get(name, name) for name in map(_bare, genes.tolist())]
    ids = np.array([_ensembl(name, words) for name in bare])
    columns = np.flatnonzero([name in words.medians and name in words.tokens for name in ids.tolist()])
    share = len(columns) / len(genes)
    totals = np.bincount(matrix.indices, matrix.data, len(genes))
    part = totals[columns].sum() / max(totals.sum(), 1)
    said = (
        f"geneformer: {len(columns)} of {len(genes)} genes ({share:.0%}), with {part:.0%} of the counts, "
        "are in its vocabulary"
    )
    _refuse(said, share, bare, words)
    if share < 1:
        warnings.warn(f"{said}; the others only count towards the totals.", TriptychWarning, stacklevel=4)
    return columns, ids[columns]


def merged(matrix: sp.csr_matrix, columns: Indices, tokens: Indices) -> tuple[sp.csr_matrix, Indices]:
    """Sum the columns of each token; columns by rising token, without stored zeros.

    Parameters
    ----------
    matrix
        Raw counts of shape (n, g).
    columns
        Those that have a token, shape (c,).
    tokens
        Of these columns, shape (c,).

    Returns
    -------
    CSR of shape (n, t), and the t tokens.
    """
    once, place = np.unique(tokens, return_inverse=True)
    shape = (matrix.shape[1], len(once))
    onto = sp.csr_matrix((np.ones(len(columns)), (columns, place)), shape)
    summed = sp.csr_matrix(matrix @ onto)
    summed.eliminate_zeros()
    summed.sort_indices()
    return summed, once


def _refuse(said: str, share: float, bare: list[str], words: Vocabulary) -> None:
    """Refuse names of another species, and names of another kind."""
    foreign = [name for name in bare if FOREIGN.fullmatch(name)]
    if len(foreign) > MOST_FOREIGN * len(bare):
        raise DataError(
            f"{said}, which is of human genes; most of the data's look like another species: "
            f"{listing(foreign, NAMED)}.",
            "Set orthologues to a table (.csv, .tsv) of two columns: name in the data, human gene.",
        )
    if share >= LEAST_KNOWN:
        return
    hint = "Name the genes by human symbols or Ensembl ids."
    if not words.names and not any(HUMAN.fullmatch(name) for name in bare):
        hint = "Put gene_name_id_dict beside its other dictionaries, or name the genes by Ensembl ids."
    knows = listing(list(words.names or words.medians)[:NAMED])
    raise DataError(f"{said}. It knows e.g. {knows}; the data have e.g. {listing(bare[:NAMED])}.", hint)


def _bare(name: str) -> str:
    """An Ensembl id without its version; any other name as it is, dots being part of some symbols."""
    return name.split(".")[0] if name.startswith("ENS") else name


def _ensembl(name: str, words: Vocabulary) -> str:
    given = words.names.get(name, name)
    return words.mapping.get(given, given)
