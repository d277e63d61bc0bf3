"""Geneformer: a transformer trained on ranked genes of many millions of human cells."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning, WeightsError
from triptych.core.progress import track
from triptych.core.protocols import Counts, Indices, Matrix
from triptych.core.settings import device
from triptych.encoders import weights as store
from triptych.encoders.card import Card
from triptych.encoders.genes import geneformer_genes as names
from triptych.encoders.genes.geneformer_files import RELEASES, Files, Release, find
from triptych.encoders.genes.geneformer_network import network, sizes
from triptych.encoders.genes.geneformer_tokens import Writing, batches, scaled, sequences
from triptych.encoders.genes.geneformer_vocabulary import END, PAD, START, Vocabulary, vocabulary
from triptych.maths.counts import checked

if TYPE_CHECKING:
    import torch

BUDGET: Final = 8192  # tokens of a batch


@dataclass(frozen=True)
class Geneformer:
    """Mean state of an observation's genes in Geneformer, or that of its class token; each by itself.

    An observation is a sequence of its genes by falling 10⁴ · count / total / median, the total being over
    all genes measured and the median that of the gene in the corpus of training.

    Parameters
    ----------
    weights
        Folder with ``config.json`` and ``model.safetensors`` (or ``pytorch_model.bin``), or its file of
        weights; or ``hub``. A model that was fine-tuned is given the same way, and its heads are left out.
    dictionaries
        Folder with ``token_dictionary``, ``gene_median_dictionary``, ``gene_name_id_dict`` and
        ``ensembl_mapping_dict``, each as .json, .csv, .tsv or the published .pkl, with or without the name
        of the corpus (``_gc30M``, ``_gc104M``); the last two may be missing. ``hub`` takes them from there,
        and empty looks where the weights are.
    version
        ``v1`` (30 million cells, 2 048 tokens) or ``v2`` (104 million, 4 096, with a class token).
    layer
        Whose states: -1 for the last layer, -2 for the one before, as the authors advise.
    pooling
        ``mean`` over the genes, the class and end tokens left out; or ``cls``, the class token, in v2.
    max_length
        Tokens of an observation at most, the lowest genes being left out; 0 for all that the version has.
    orthologues
        Table (.csv, .tsv) of two columns, name in the data and human gene; for counts of other species.

    Notes
    -----
    The hub's models are Geneformer-V1-10M, of 256 numbers, and Geneformer-V2-104M, of 768. An observation
    without any known gene becomes zeros, and a warning says how many there are.

    Verified: the states equal those of transformers' own model, on a small network with random weights saved
    as the hub has them. Not verified: the numbers of the released weights, which were not at hand.
    """

    weights: str = store.HUB
    dictionaries: str = ""
    version: Literal["v1", "v2"] = "v1"
    layer: int = -2
    pooling: Literal["mean", "cls"] = "mean"
    max_length: int = 0
    orthologues: str = ""

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41586-023-06139-9"
    extra: ClassVar[tuple[str, str]] = ("transformers", "foundation")
    card: ClassVar[Card] = Card(
        name="geneformer",
        dimension=256,
        source="ctheodoris/Geneformer",
        licence="Apache-2.0",
        gated=False,
        cite=cite,
    )

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("weights must be a folder, a file or hub")
        if self.layer > -1:
            raise ValueError(f"layer counts from the end and must be -1 or less, got {self.layer}")
        if self.pooling == "cls" and self.version == "v1":
            raise ValueError("pooling cls needs version v2; v1 has no class token")
        most = self._release.length
        if self.max_length and not 3 <= self.max_length <= most:
            raise ValueError(f"max_length must be 0, or 3 to {most} in {self.version}, got {self.max_length}")

    @property
    def _release(self) -> Release:
        return RELEASES[self.version]

    def _files(self) -> Files:
        return find(self.weights, self.dictionaries, self._release, self.card)

    def fingerprint(self) -> str:
        """sha256 of weights, sizes, dictionaries and orthologues.

        Raises
        ------
        WeightsError
            When they cannot be had.
        DataError
            When there is no table of orthologues where one is named.
        """
        beside: tuple[Path, ...] = ()
        if self.orthologues:
            names.orthologues(self.orthologues)
            beside = (Path(self.orthologues).expanduser(),)
        return store.fingerprint(*self._files().all(), *beside)

    def encode(self, counts: Counts, rng: np.random.Generator) -> Matrix:
        """Encode observations, each by itself, on the device that ``TRIPTYCH_DEVICE`` names.

        Parameters
        ----------
        counts
            Raw counts of n observations and g genes, by human symbols or Ensembl ids.
        rng
            Not used.

        Returns
        -------
        Shape (n, d), float32.

        Raises
        ------
        DataError
            When the counts cannot be used, or the vocabulary knows too few of the genes.
        WeightsError
            When a file cannot be had, is damaged, or belongs to another model.

        Warns
        -----
        TriptychWarning
            When the vocabulary does not know all genes, or some observations have none that it knows.
        """
        matrix = checked(counts.matrix)
        if np.any(matrix.data != np.floor(matrix.data)):
            raise DataError("geneformer: some counts are not whole numbers.", "Pass the raw counts.")
        pairs = names.orthologues(self.orthologues) if self.orthologues else {}
        files = self._files()
        given = sizes(files.config)
        words = vocabulary(files, self._release, given["vocab_size"])
        how = self._writing(words, given["max_position_embeddings"])
        rows, tokens = _ranked(Counts(matrix, counts.genes, counts.batch), words, pairs)
        _tell_empty(rows)
        model = network(files.weights, given, self.layer, device=device())
        return self._states(model, rows, tokens, how)

    def _writing(self, words: Vocabulary, places: int) -> Writing:
        length = self.max_length or self._release.length
        if length > places:
            fact = f"geneformer: the model takes {places} tokens, and {self.version} would give it {length}."
            raise WeightsError(fact, f"Take the model's own version, or set max_length to {places}.")
        frame = (words.tokens[START], words.tokens[END]) if self._release.framed else ()
        return Writing(length, frame, words.tokens[PAD])

    def _states(self, model: torch.nn.Module, rows: sp.csr_matrix, tokens: Indices, how: Writing) -> Matrix:
        """The states of every row; rows of like length go together."""
        import torch

        found = np.zeros(
            (rows.shape[0], model.get_parameter("embeddings.LayerNorm.weight").numel()), np.float32
        )
        together = list(batches(np.diff(rows.indptr), how, BUDGET))
        for some in track(together, "geneformer", len(together)):
            given = (torch.from_numpy(part).to(device()) for part in sequences(rows[some], tokens, how))
            with torch.inference_mode():
                found[some] = self._pooled(model, *given).cpu().numpy()
        return found

    def _pooled(self, model: torch.nn.Module, tokens: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        state: torch.Tensor = model(input_ids=tokens, attention_mask=(tokens != 0).long()).last_hidden_state
        if self.pooling == "cls":
            return state[:, 0]
        total = (state * genes[..., None]).sum(1)
        return total / genes.sum(1, keepdim=True)


def _ranked(counts: Counts, words: Vocabulary, pairs: dict[str, str]) -> tuple[sp.csr_matrix, Indices]:
    """What the genes are ranked by, CSR of shape (n, t), and the token of each column."""
    columns, ids = names.known(counts.genes, counts.matrix, words, pairs)
    tokens = np.array([words.tokens[name] for name in ids.tolist()], np.int64)
    median_of = dict(zip(tokens.tolist(), (words.medians[name] for name in ids.tolist()), strict=True))
    matrix, once = names.merged(counts.matrix, columns, tokens)
    totals = np.asarray(counts.matrix.sum(axis=1), np.float64).ravel()
    return scaled(matrix, totals, np.array([median_of[token] for token in once.tolist()])), once


def _tell_empty(rows: sp.csr_matrix) -> None:
    empty = int(np.count_nonzero(np.diff(rows.indptr) == 0))
    if empty:
        said = f"geneformer: {empty} of {rows.shape[0]} observations have no count of a gene that it knows"
        warnings.warn(f"{said}; they become zeros.", TriptychWarning, stacklevel=3)
