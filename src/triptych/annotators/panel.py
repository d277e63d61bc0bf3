"""The part of the markers that the genes of some data can show."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.annotators.markers import MarkerClass, Markers, Neoplastic, Programme, read_markers
from triptych.core.checks import Faults, listing
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Codes, Counts

ENSEMBL: Final = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?")


@dataclass(frozen=True, eq=False)
class Panel:
    """Programmes of the classes as columns of the counts.

    Parameters
    ----------
    classes
        Names of the classes.
    programmes
        Names of the programmes.
    of
        Code of the class of each programme, shape (p,).
    positive, negative
        Which genes speak for and against each programme, shape (p, g).
    suspect
        Programmes of neoplastic cells, and which genes they have, shape (g,).
    normal
        Which programmes are of cells that are hardly ever neoplastic, shape (p,).
    lineage
        Code of the class that neoplastic cells are of; -1 where file or classes have none.
    """

    classes: tuple[str, ...]
    programmes: tuple[str, ...]
    of: Codes
    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    suspect: Mapping[str, NDArray[np.bool_]]
    normal: NDArray[np.bool_]
    lineage: int


def panel_of(annotator: str, counts: Counts, markers: str, classes: Sequence[str], least_genes: int) -> Panel:
    """Find the markers among the genes of the data.

    Parameters
    ----------
    annotator
        Its name, to open messages.
    counts
        Of n cells and g genes.
    markers, classes
        As for `read_markers`.
    least_genes
        A programme with fewer genes is left out.

    Warns
    -----
    TriptychWarning
        With the share of the markers of each class that the data have, where it is not all.

    Raises
    ------
    WeightsError
        When there is no such marker file.
    DataError
        When it is none, names of genes are there twice, or a class is left without programmes; all faults
        together.
    """
    read = read_markers(markers, classes)
    genes, chosen = counts.genes.astype(str), read.chosen(classes)
    known = _checked_genes(annotator, genes, read, chosen, least_genes)
    _say_share(annotator, chosen, known, len(genes))
    kept = [
        (title, code, programme)
        for code, one in enumerate(chosen.values())
        for title, programme in one.programmes.items()
        if len(known & set(programme.positive)) >= least_genes
    ]
    neoplastic, titles = read.neoplastic, tuple(title for title, _, _ in kept)
    lineage = list(chosen).index(neoplastic.of) if neoplastic and neoplastic.of in chosen else -1
    of = np.array([code for _, code, _ in kept])
    return Panel(
        tuple(chosen), titles, of,
        np.array([np.isin(genes, programme.positive) for _, _, programme in kept]),
        np.array([np.isin(genes, programme.negative) for _, _, programme in kept]),
        _suspect(neoplastic, genes),
        np.isin(titles, neoplastic.normal if neoplastic else ()) & (of == lineage), lineage,
    )  # fmt: skip


def _checked_genes(
    annotator: str, genes: NDArray[np.str_], read: Markers, chosen: Mapping[str, MarkerClass], least: int
) -> set[str]:
    """Names of the genes, or a refusal of those that tell no classes apart."""
    faults = Faults(annotator)
    names, times = np.unique(genes, return_counts=True)
    doubles = [str(name) for name in names[times > 1]]
    faults.check(not doubles, f"gene names occur more than once: {listing(doubles, 5)}")
    faults.check(len(chosen) > 1, f"of one class, {listing(chosen)}, there is nothing to tell apart")
    known = set(map(str, names))
    for name, one in chosen.items():
        _check_class(name, one, known, least, faults)
    faults.raise_if_any(hint=_why(genes, read))
    return known


def _suspect(neoplastic: Neoplastic | None, genes: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Programmes of neoplastic cells of which the data have any gene."""
    programmes = neoplastic.programmes if neoplastic else {}
    found = {title: np.isin(genes, programme.positive) for title, programme in programmes.items()}
    return {title: members for title, members in found.items() if members.any()}


def _markers_of(one: MarkerClass) -> set[str]:
    return {gene for programme in one.programmes.values() for gene in programme.positive}


def _check_class(name: str, one: MarkerClass, known: set[str], least: int, faults: Faults) -> None:
    """Note a class of which no programme has enough genes."""
    best: Programme = max(one.programmes.values(), key=lambda programme: len(known & set(programme.positive)))
    most = len(known & set(best.positive))
    there, every = sorted(known & _markers_of(one)), len(_markers_of(one))
    faults.check(
        most >= least,
        f"{name} cannot be told: {len(there)} of its {every} markers are among the genes "
        f"({listing(there, 5)}), and none of its programmes has {least} of them",
    )


def _say_share(annotator: str, chosen: Mapping[str, MarkerClass], known: set[str], genes: int) -> None:
    """Warn of markers that were not measured."""
    shares = []
    for name, one in chosen.items():
        markers = _markers_of(one)
        there = len(markers & known)
        if there < len(markers):
            shares.append(f"{there} of {len(markers)} ({there / len(markers):.0%}) of {name}")
    if shares:
        warnings.warn(
            f"{annotator}: of the markers the {genes} genes have {', '.join(shares)}.",
            TriptychWarning,
            stacklevel=4,
        )


def _why(genes: NDArray[np.str_], read: Markers) -> str:
    """What may be wrong with the names of the genes."""
    wanted = {gene for one in read.classes.values() for gene in _markers_of(one)}
    ids = [name for name in map(str, genes[:1000]) if ENSEMBL.fullmatch(name)]
    if 2 * len(ids) > min(len(genes), 1000):
        return f"The genes are Ensembl ids ({ids[0]}): name them by symbols."
    exact = wanted & set(map(str, genes))
    cased = {name.upper() for name in map(str, genes)} & {name.upper() for name in wanted}
    if len(cased) > len(exact):
        return (
            f"{len(cased) - len(exact)} more differ by case only: the markers are of {read.organism}, "
            "take those of the organism of the data."
        )
    return "Measure more genes, lower least_genes, or ask for fewer classes."
