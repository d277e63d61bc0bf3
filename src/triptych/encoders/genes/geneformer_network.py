"""The network of a Geneformer: a BERT of the sizes that its configuration states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from triptych.core.checks import Faults, listing
from triptych.core.errors import WeightsError
from triptych.core.extras import need
from triptych.encoders import weights as store

if TYPE_CHECKING:
    import torch

COUNTS: Final = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "vocab_size", "type_vocab_size",
)  # fmt: skip
ACTIVATIONS: Final = ("relu", "gelu", "gelu_new", "silu")
AS_READ: Final = {"model_type": "bert", "position_embedding_type": "absolute"}
DEFAULTS: Final[dict[str, Any]] = {"type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
BESIDE: Final = (  # heads, what pools for them, and a buffer that old files hold
    "cls.", "classifier.", "pooler.", "embeddings.position_ids",
)  # fmt: skip


def sizes(config: Path) -> dict[str, Any]:
    """What the model's configuration says of the network.

    Raises
    ------
    WeightsError
        When it is damaged, or describes another kind of network; all faults together.
    """
    held, faults = DEFAULTS | store.mapping(config), Faults(str(config))
    for name in COUNTS:
        good = type(held.get(name)) is int and held[name] > 0
        faults.check(good, f"{name} should be a count, and is {held.get(name)!r}.")
    for name, only in AS_READ.items():
        here = held.get(name, only)
        faults.check(here == only, f"{name} is {here!r}; only {only} is read.")
    faults.check(held["hidden_act"] in ACTIVATIONS, f"hidden_act should be one of {listing(ACTIVATIONS)}.")
    epsilon = held["layer_norm_eps"]
    faults.check(type(epsilon) is float and 0 < epsilon < 1, "layer_norm_eps should be a small number.")
    if not faults.found:
        width, heads = held["hidden_size"], held["num_attention_heads"]
        faults.check(not width % heads, f"num_attention_heads ({heads}) should divide hidden_size ({width}).")
    faults.raise_if_any(WeightsError, "It is not the configuration of a Geneformer.")
    return {name: held[name] for name in (*COUNTS, "hidden_act", "layer_norm_eps")}


def network(weights: Path, given: dict[str, Any], layer: int, *, device: str) -> torch.nn.Module:
    """The network with its weights, cut after the layer wanted; heads are left out.

    Parameters
    ----------
    weights
        The file.
    given
        From `sizes`.
    layer
        -1 for the last, -2 for the one before …
    device
        Where torch computes.

    Raises
    ------
    WeightsError
        When there is no such layer, or the weights are damaged or do not fit.
    """
    import torch

    layers = given["num_hidden_layers"]
    if layers + layer < 0:
        raise WeightsError(f"geneformer: there is no layer {layer} of {layers}.", "Set layer nearer to -1.")
    library = need("transformers", "foundation")
    with torch.device("meta"):
        model = library.BertModel(library.BertConfig(pad_token_id=0, **given), add_pooling_layer=False)
    state = {name.removeprefix("bert."): value for name, value in store.read(weights).items()}
    store.fill(model, state, weights, beside=BESIDE)
    model.embeddings.position_ids = torch.arange(given["max_position_embeddings"])[None]
    model.embeddings.token_type_ids = torch.zeros_like(model.embeddings.position_ids)
    model.encoder.layer = model.encoder.layer[: layers + 1 + layer]
    filled: torch.nn.Module = model.to(device)
    return filled
