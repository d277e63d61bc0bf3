"""Where the files of a Geneformer lie: weights, sizes and dictionaries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from triptych.core.errors import WeightsError
from triptych.encoders import weights as store
from triptych.encoders.card import Card
from triptych.encoders.genes.geneformer_dictionaries import SUFFIXES

WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
CONFIG: Final = "config.json"
TOKENS, MEDIANS, NAMES, MAPPING = (
    "token_dictionary", "gene_median_dictionary", "gene_name_id_dict", "ensembl_mapping_dict",
)  # fmt: skip


@dataclass(frozen=True)
class Release:
    """What differs between the versions of Geneformer.

    Parameters
    ----------
    model
        Folder of its smallest model on the hub.
    dictionaries
        Folder of its dictionaries there.
    corpus
        What it was trained on, at the end of the dictionaries' names.
    length
        Tokens of an observation at most.
    framed
        Whether a class token opens and another closes the tokens of an observation.
    """

    model: str
    dictionaries: str
    corpus: str
    length: int
    framed: bool


RELEASES: Final = {
    "v1": Release("Geneformer-V1-10M", "geneformer/gene_dictionaries_30m", "gc30M", 2048, framed=False),
    "v2": Release("Geneformer-V2-104M", "geneformer", "gc104M", 4096, framed=True),
}


@dataclass(frozen=True)
class Files:
    """Everything that decides the numbers; two of the dictionaries may be missing from a folder."""

    weights: Path
    config: Path
    tokens: Path
    medians: Path
    names: Path | None
    mapping: Path | None

    def all(self) -> tuple[Path, ...]:
        """Those that are there, always in this order."""
        given = (self.weights, self.config, self.tokens, self.medians, self.names, self.mapping)
        return tuple(path for path in given if path is not None)


def find(weights: str, folder: str, release: Release, card: Card) -> Files:
    """Find weights, sizes and dictionaries.

    Parameters
    ----------
    weights
        Folder or file of the weights, or ``hub``.
    folder
        Of the dictionaries, or ``hub``; empty for those that come with the weights.
    release
        The version wanted.
    card
        Of the weights.

    Raises
    ------
    WeightsError
        When a file cannot be had.
    """
    if weights == store.HUB:
        model = store.find(weights, card, *(f"{release.model}/{name}" for name in WEIGHTS))
        config = store.find(weights, card, f"{release.model}/{CONFIG}")
    else:
        model = store.find(weights, card, *WEIGHTS)
        config = model.parent / CONFIG
        if not config.is_file():
            raise WeightsError(f"{model.parent} holds no {CONFIG}.", "Put the model's beside its weights.")
    if folder == store.HUB or (not folder and weights == store.HUB):
        names = (
            f"{release.dictionaries}/{stem}_{release.corpus}.pkl"
            for stem in (TOKENS, MEDIANS, NAMES, MAPPING)
        )
        return Files(model, config, *(store.find(store.HUB, card, name) for name in names))
    # a clone of the hub's repository keeps its dictionaries in a folder beside that of the model
    own = (model.parent, model.parent.parent / release.dictionaries)
    return Files(model, config, *_local((Path(folder).expanduser(),) if folder else own, release))


def _local(folders: tuple[Path, ...], release: Release) -> tuple[Path, Path, Path | None, Path | None]:
    """The dictionaries in the first folder that has one of tokens; all of one folder and one ending."""

    def search(folder: Path, stem: str) -> Path | None:
        paths = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    ends = ", ".join(SUFFIXES)
    for folder in folders:
        for end in (f"_{release.corpus}", ""):
            tokens, medians, names, mapping = (
                search(folder, f"{stem}{end}") for stem in (TOKENS, MEDIANS, NAMES, MAPPING)
            )
            if tokens and medians:
                return tokens, medians, names, mapping
            if tokens:
                fact = f"geneformer: {folder} holds {tokens.name} and no {MEDIANS}{end} of {ends}."
                raise WeightsError(fact, "Put the one that was published with it there.")
    places = " or in ".join(str(folder) for folder in folders)
    raise WeightsError(
        f"geneformer: there is no {TOKENS}_{release.corpus} of {ends} in {places}.",
        "Set dictionaries to the folder that holds it, or to hub.",
    )
