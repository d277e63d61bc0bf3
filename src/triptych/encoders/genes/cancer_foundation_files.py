"""What lies in a checkpoint folder of CancerFoundation: weights, sizes, vocabulary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from triptych.core.checks import Faults
from triptych.core.errors import WeightsError
from triptych.encoders import weights as store

if TYPE_CHECKING:
    from triptych.nets.gene_transformer import GeneTransformer

WEIGHTS: Final = ("model.safetensors", "model.pth")
ARGUMENTS, VOCABULARY = "args.json", "vocab.json"
SIZES: Final = ("embsize", "nheads", "d_hid", "nlayers")
AS_BUILT: Final = {"norm_scheme": "post", "input_emb_style": "continuous"}
PARTS: Final = ("gene_encoder.", "value_encoder.", "encoder.")
START, PAD = "<cls>", "<pad>"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint, its weights not yet read.

    Parameters
    ----------
    path
        The file of weights; the others lie beside it.
    sizes
        Of the network, by the names of `SIZES`.
    bins
        Number of bins of the values; 0 leaves them continuous.
    vocabulary
        Token → number, 0 … tokens - 1.
    """

    path: Path
    sizes: dict[str, int]
    bins: int
    vocabulary: dict[str, int]


def files(path: Path) -> tuple[Path, Path, Path]:
    """Everything that decides the numbers: weights, sizes, vocabulary.

    Raises
    ------
    WeightsError
        When a file is missing beside the weights.
    """
    faults = Faults(str(path.parent))
    for name in (ARGUMENTS, VOCABULARY):
        faults.check((path.parent / name).is_file(), f"it holds no {name}.")
    faults.raise_if_any(WeightsError, "Unpack the whole download into one folder.")
    return path, path.parent / ARGUMENTS, path.parent / VOCABULARY


def checkpoint(path: Path) -> Checkpoint:
    """Read sizes and vocabulary.

    Raises
    ------
    WeightsError
        When they are missing or not what this encoder reads; all faults together.
    """
    _, arguments, vocabulary = files(path)
    given, tokens = store.mapping(arguments), store.mapping(vocabulary)
    faults = Faults(str(path.parent))
    for name in SIZES:
        faults.check(_count(given.get(name)), f"{ARGUMENTS}: {name} should be a count.")
    bins = given.get("n_bins") or 0
    faults.check(bins == 0 or (_count(bins) and bins > 2), f"{ARGUMENTS}: n_bins should be above 2, or 0.")
    for name, only in AS_BUILT.items():
        here = given.get(name, only)
        faults.check(here == only, f"{ARGUMENTS}: {name} is {here}; only {only} is built here.")
    for name in (START, PAD):
        faults.check(name in tokens, f"{VOCABULARY} has no {name}.")
    numbered = {number for number in tokens.values() if type(number) is int} == set(range(len(tokens)))
    faults.check(numbered, f"{VOCABULARY} should number its {len(tokens)} tokens 0, 1, 2, …, each once.")
    faults.raise_if_any(WeightsError, "It is not a checkpoint that this encoder reads.")
    sizes = {name: given[name] for name in SIZES}
    if sizes["embsize"] % sizes["nheads"]:
        raise WeightsError(f"{arguments}: nheads should divide embsize, got {sizes}.", "Get the file again.")
    return Checkpoint(path, sizes, bins, tokens)


def network(found: Checkpoint, device: str) -> GeneTransformer:
    """The network with its weights; those of the heads that only training needs are left out.

    Raises
    ------
    WeightsError
        When the weights are damaged or do not fit.
    """
    import torch

    from triptych.nets.gene_transformer import GeneShape, GeneTransformer

    width, heads, hidden, layers = (found.sizes[name] for name in SIZES)
    with torch.device("meta"):
        model = GeneTransformer(GeneShape(len(found.vocabulary), width, heads, hidden, layers))
    state = {_named(name): value for name, value in store.read(found.path).items() if name.startswith(PARTS)}
    store.fill(model, state, found.path, beside=())
    return model.to(device)


def _named(name: str) -> str:
    """Training wraps the attention of a layer, and its name is then written twice."""
    return re.sub(r"^(encoder\.layers\.\d+\.self_attn\.)self_attn\.", r"\1", name)


def _count(value: Any) -> bool:
    return type(value) is int and value > 0
