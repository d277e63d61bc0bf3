"""CancerFoundation: a transformer trained on the expression of malignant cells."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.progress import track
from triptych.core.protocols import Counts, Indices, Matrix
from triptych.encoders import weights as store
from triptych.encoders.card import Card
from triptych.encoders.genes import cancer_foundation_files as folder
from triptych.encoders.genes.cancer_foundation_tokens import Writing, sequences
from triptych.maths.counts import checked, logged, normalised

if TYPE_CHECKING:
    from triptych.nets.gene_transformer import GeneTransformer

TARGET_SUM: Final = 1e4
LEAST_KNOWN: Final = 0.1  # share of the genes below which the names are taken to be of another kind
BATCH: Final = 16


@dataclass(frozen=True)
class CancerFoundation:
    """State of the class token of CancerFoundation, for each observation by itself.

    An observation is a sequence of its genes, by falling log(1 + 10⁴ · count / total), binned by its own
    quantiles where the checkpoint was trained so.

    Parameters
    ----------
    weights
        The unpacked checkpoint: a folder with ``model.pth`` (or ``model.safetensors``), ``args.json`` and
        ``vocab.json``, or its file of weights. There is none on the hub.
    max_length
        Genes of an observation at most, plus one; the lowest are left out. It was trained on 1 200.
    unit_length
        Whether vectors are scaled to length 1, as the authors do.

    Notes
    -----
    Verified: the three files are read as the authors' code reads them, and the arithmetic equals that of
    torch's own transformer, on a small network with random weights. Not verified: the numbers of the
    released weights, which were not at hand.

    Two steps of the authors' script depend on the other observations or on chance, and differ here: they
    take the same 1 199 variable genes for all, zeros among them, where here an observation shows the genes
    it expresses; and they draw a bin for values that meet several edges, where here it is the middle one.
    """

    weights: str = store.HUB
    max_length: int = 1200
    unit_length: bool = True

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1101/2024.11.01.621087"
    card: ClassVar[Card] = Card(
        name="cancer-foundation",
        dimension=256,
        source="https://github.com/BoevaLab/CancerFoundation",
        licence="MIT",
        gated=False,
        cite=cite,
    )

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise ValueError(f"max_length must be at least 2, got {self.max_length}")
        if not self.weights:
            raise ValueError("weights must be a folder or a file")

    def fingerprint(self) -> str:
        """sha256 of weights, sizes and vocabulary.

        Raises
        ------
        WeightsError
            When they cannot be had.
        """
        path = store.find(self.weights, self.card, *folder.WEIGHTS)
        return store.fingerprint(*folder.files(path))

    def encode(self, counts: Counts, rng: np.random.Generator, *, device: str = "cpu") -> Matrix:
        """Encode observations, each by itself.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes, by their symbols.
        rng
            Not used.
        device
            Where torch computes.

        Returns
        -------
        Shape (n, d), float32. An observation without known genes is the class token alone.

        Raises
        ------
        DataError
            When the counts cannot be used, or the vocabulary knows too few of the genes.
        WeightsError
            When the checkpoint cannot be had, is damaged or does not fit.

        Warns
        -----
        TriptychWarning
            When the vocabulary does not know all genes.
        """
        matrix = logged(normalised(checked(counts.matrix), TARGET_SUM))
        found = folder.checkpoint(store.find(self.weights, self.card, *folder.WEIGHTS))
        columns = _known(counts.genes, found.vocabulary)
        tokens = np.array([found.vocabulary[gene] for gene in counts.genes[columns]], np.int64)
        start, pad = (found.vocabulary[name] for name in (folder.START, folder.PAD))
        matrix = sp.csr_matrix(matrix[:, columns])
        matrix.eliminate_zeros()
        how = Writing(tokens, start, pad, found.bins, self.max_length)
        states = _states(folder.network(found, device), matrix, how, device)
        return states / np.linalg.norm(states, axis=1, keepdims=True) if self.unit_length else states


def _known(genes: NDArray[np.str_], vocabulary: dict[str, int]) -> Indices:
    """Columns of the genes that the vocabulary has."""
    known = {token for token in vocabulary if not token.startswith("<")}  # such as <cls>
    columns = np.flatnonzero([gene in known for gene in genes])
    share = len(columns) / len(genes)
    said = f"cancer-foundation: {len(columns)} of {len(genes)} genes ({share:.0%}) are in its vocabulary"
    if share < LEAST_KNOWN or not len(columns):
        raise DataError(
            f"{said}. It knows e.g. {listing(sorted(known)[:3])}; the data have e.g. "
            f"{listing(str(gene) for gene in genes[:3])}.",
            "Name the genes by human symbols.",
        )
    names, times = np.unique(genes[columns], return_counts=True)
    faults = Faults("cancer-foundation")
    twice = listing(str(name) for name in names[times > 1])
    faults.check(not (times > 1).any(), f"genes with several columns: {twice}. Add their counts up.")
    faults.raise_if_any()
    if share < 1:
        warnings.warn(f"{said}; the others are left out.", TriptychWarning, stacklevel=3)
    return columns


def _states(model: GeneTransformer, matrix: sp.csr_matrix, how: Writing, device: str) -> Matrix:
    """The class token's state of every row; rows of like length go together, so little is padding."""
    import torch

    order = np.argsort(np.diff(matrix.indptr), kind="stable")
    states = np.empty((len(order), model.gene_encoder.embedding.embedding_dim), np.float32)
    for first in track(range(0, len(order), BATCH), "cancer-foundation", -(-len(order) // BATCH)):
        rows = order[first : first + BATCH]
        given = (torch.from_numpy(part).to(device) for part in sequences(matrix[rows], how))
        with torch.inference_mode():
            states[rows] = model(*given).cpu().numpy()
    return states
