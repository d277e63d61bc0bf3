"""What the dictionaries of a Geneformer say, and whether they belong to its model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from triptych.core.checks import Faults, listing
from triptych.core.errors import WeightsError
from triptych.encoders.genes import geneformer_dictionaries as dictionaries
from triptych.encoders.genes.geneformer_files import CONFIG, Files, Release

PAD, START, END = "<pad>", "<cls>", "<eos>"
NAMED: Final = 3  # genes named in a message


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What the dictionaries say.

    Parameters
    ----------
    tokens
        Ensembl id, or special token → token number.
    medians
        Ensembl id → median of its counts per 10 000 where it is seen.
    names
        Symbol → Ensembl id; empty where there is no such file.
    mapping
        Ensembl id → the one in use today; empty where there is no such file.
    """

    tokens: dict[str, int]
    medians: dict[str, float]
    names: dict[str, str]
    mapping: dict[str, str]


def vocabulary(files: Files, release: Release, size: int) -> Vocabulary:
    """Read the dictionaries.

    Parameters
    ----------
    files
        With the dictionaries.
    release
        The version wanted.
    size
        Tokens that the model has.

    Raises
    ------
    WeightsError
        When they are damaged, or belong to another model or version; all faults together.
    """
    given, medians = dictionaries.numbers(files.tokens), dictionaries.numbers(files.medians)
    faults, count = Faults(f"geneformer: {files.tokens}"), len(given)
    numbered = sorted(given.values()) == list(range(count))
    faults.check(numbered, f"it should number its {count} tokens 0, 1, 2, …, each once.")
    faults.check(count == size, f"it has {count} tokens, and the model's {CONFIG} says {size}.")
    faults.check(given.get(PAD) == 0, f"{PAD} should be token 0.")
    for name in (START, END):
        held = "no" if release.framed else "a"
        faults.check((name in given) == release.framed, f"it has {held} {name}, so is of another version.")
    # medians of another corpus would change every rank and say nothing
    bare = [name for name in given if not name.startswith("<") and not 0 < medians.get(name, 0) < math.inf]
    named = listing(bare, NAMED)
    faults.check(not bare, f"{files.medians.name} has no median for {len(bare)} of its genes: {named}.")
    faults.raise_if_any(WeightsError, "Take model, dictionaries and version of one release of Geneformer.")
    tokens = {name: int(number) for name, number in given.items()}
    names, mapping = (dictionaries.texts(path) if path else {} for path in (files.names, files.mapping))
    return Vocabulary(tokens, medians, names, mapping)
