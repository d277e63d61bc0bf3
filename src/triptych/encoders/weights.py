"""Weights: found in a file, a folder or on the Hugging Face hub; read as data; digested; fitted to a model.

Every encoder with weights has

- ``card``, a class variable, the `Card` of the published weights;
- ``weights``, a parameter: a file, a folder, or ``hub``, the repository that the card names;
- ``fingerprint()``, the sha256 of the files that it would load, finding them first. The weights decide the
  numbers and their path does not, so a step's identity takes the fingerprint in place of ``weights``.

The hub's local cache is looked at first, and nothing else is where ``HF_HUB_OFFLINE`` is set.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  # torch raises it when it refuses to unpickle
from typing import TYPE_CHECKING, Any, Final

from triptych.core.checks import Faults, listing
from triptych.core.errors import WeightsError
from triptych.core.extras import need
from triptych.encoders.card import Card

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HUB: Final = "hub"
CHUNK: Final = 1 << 22
NAMED: Final = 4  # entries of a state dict that a message names
WRAPPERS: Final = ("state_dict", "model_state_dict", "model")  # under which checkpoints keep the state dict
BROKEN: Final = (  # what torch raises for files that are damaged, found by damaging files
    UnpicklingError,
    AssertionError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
UNREAD: Final = "num_batches_tracked"  # counts batches while training; old checkpoints do not have it


def find(weights: str, card: Card, *files: str) -> Path:
    """The file of weights.

    Parameters
    ----------
    weights
        A file, a folder, or ``hub``.
    card
        Of the weights wanted.
    files
        Names that the file may have in a folder or on the hub, the preferred one first.

    Raises
    ------
    WeightsError
        When there is no such file; when the hub does not hand it out, cannot be reached, or must not be
        asked because ``HF_HUB_OFFLINE`` is set.
    MissingExtraError
        When the hub is wanted and huggingface-hub is not installed.
    """
    if weights == HUB:
        return _on_hub(card, files)
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise WeightsError(f"{card.name}: there is no {weights}.", _get(card))
    for name in files:
        if (path / name).is_file():
            return path / name
    held = listing(sorted(item.name for item in path.iterdir()))
    raise WeightsError(
        f"{card.name}: the folder {weights} holds no {' or '.join(files)}. It holds: {held}.",
        "Give the folder that does, or the file of weights itself.",
    )


def fingerprint(*paths: Path) -> str:
    """sha256 of a file, or of the digests of several in the order given.

    A file that has kept its size and time of change is not read again.
    """
    digests = [_digest(str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def mapping(path: Path) -> dict[str, Any]:
    """Names and values in a file of JSON.

    Raises
    ------
    WeightsError
        When it is damaged, or holds something else.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not JSON: {error}.", "Get the file again.") from error
    if not isinstance(held, dict):
        raise WeightsError(f"{path} should hold names and values.", "Get the file again.")
    return held


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in a file: safetensors, or what torch loads without running code.

    Raises
    ------
    WeightsError
        When the file is damaged, or holds anything but tensors by name.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, *BROKEN) as error:
        raise WeightsError(
            f"{path} is damaged, or holds more than weights: {_reason(error)}.",
            "Get the file again; only safetensors, and state dicts that torch.save wrote, are read.",
        ) from error
    state = next((held[key] for key in WRAPPERS if key in held), held) if isinstance(held, dict) else held
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict.", "Save model.state_dict() with torch.save.")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def fill(model: torch.nn.Module, state: dict[str, Tensor], path: Path, *, beside: tuple[str, ...]) -> None:
    """Put a state dict into a model that was built on the device ``meta``, as single precision.

    Parameters
    ----------
    model
        Every weight of it must be in the state dict, in the same shape: none is left at random.
    state
        Name → tensor.
    path
        For messages.
    beside
        Beginnings of names that the state dict may hold beside the model's own, such as ``fc.``.

    Raises
    ------
    WeightsError
        When entries are missing, unexpected or of another shape; all faults together.
    """
    import torch

    wanted = model.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(UNREAD)]
    unexpected = [name for name in state if name not in wanted and not name.startswith(beside)]
    other = [
        f"{name} ({_shape(state[name])} for {_shape(wanted[name])})"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    faults = Faults(f"{path} does not fit the model")
    for names, what in ((missing, "missing"), (unexpected, "unexpected"), (other, "of another shape")):
        faults.check(not names, f"{what}: {listing(names, NAMED)}.")
    faults.raise_if_any(WeightsError, "It holds the weights of another model.")
    zero = torch.zeros((), dtype=torch.long)
    model.load_state_dict({name: state.get(name, zero) for name in wanted}, assign=True)
    model.float().eval().requires_grad_(requires_grad=False)


def _on_hub(card: Card, files: tuple[str, ...]) -> Path:
    """The file in the hub's local cache, else downloaded."""
    if not card.on_hub:
        raise WeightsError(f"{card.name}: its weights are not on the hub.", _get(card))
    hub = need("huggingface_hub", "images")
    for name in files:
        cached = hub.try_to_load_from_cache(card.source, name)
        if isinstance(cached, str):
            return Path(cached)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise WeightsError(
            f"{card.name}: HF_HUB_OFFLINE is set, and the hub's cache holds no {card.source}.",
            f"Unset it once to download them. {_get(card)}",
        )
    return _downloaded(hub, card, files)


def _downloaded(hub: Any, card: Card, files: tuple[str, ...]) -> Path:
    errors = need("huggingface_hub.utils", "images")
    for name in files:
        try:
            return Path(hub.hf_hub_download(card.source, name))
        except errors.GatedRepoError as error:
            raise WeightsError(f"{card.name}: {card.source} is gated.", _get(card)) from error
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
            raise WeightsError(f"{card.name}: the hub cannot be reached.", _get(card)) from error
        except errors.EntryNotFoundError:
            continue
        except (errors.HfHubHTTPError, OSError) as error:
            reason = f"the hub did not give {name}: {_reason(error)}."
            raise WeightsError(f"{card.name}: {reason}", _get(card)) from error
    raise WeightsError(f"{card.name}: {card.source} holds no {' or '.join(files)}.", _get(card))


def _get(card: Card) -> str:
    """How to get the weights."""
    page = f"https://huggingface.co/{card.source}" if card.on_hub else card.source
    if card.gated:
        return (
            f"Ask for access at {page}, then log in with hf auth login (once huggingface-cli login), or set "
            "weights to a file or folder that you downloaded there."
        )
    return f"Download them from {page} and set weights to the file or folder."


def _reason(error: Exception) -> str:
    """What a library says, in one line."""
    if isinstance(error, UnpicklingError):  # torch goes on to advise loading it without care
        return "it does not unpickle to tensors"
    return (str(error).strip().split("\n")[0] or type(error).__name__)[:200].rstrip(".")


def _shape(tensor: Tensor) -> str:
    return "×".join(str(side) for side in tensor.shape) or "one number"


@lru_cache(maxsize=64)
def _digest(path: str, _changed: int, _size: int) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
