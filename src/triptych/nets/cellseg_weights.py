"""Published weights of timm's encoders: found, read as data, and fitted without leaving one at random."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  # torch raises it when it refuses to unpickle
from typing import Any, Final

import torch
from torch import Tensor, nn

from triptych.core.checks import Faults, listing
from triptych.core.errors import WeightsError
from triptych.core.extras import need

HUB, NONE = "hub", "none"
FILES: Final = ("model.safetensors", "pytorch_model.bin")
NAMED: Final = 4  # weights that a message names
WRAPPERS: Final = ("state_dict", "model_state_dict", "model")  # under which checkpoints keep the weights
COUNTER: Final = "num_batches_tracked"  # not in old checkpoints, and not used
BROKEN: Final = (UnpicklingError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def found(weights: str, published: Mapping[str, Any]) -> Path | None:
    """The file of weights; None where there shall be none.

    Parameters
    ----------
    weights
        A file, a folder, ``hub`` or ``none``.
    published
        What timm knows of the encoder's weights.

    Raises
    ------
    WeightsError
        When there is no such file, or the hub does not hand it out.
    """
    if weights == NONE:
        return None
    if weights == HUB:
        return _on_hub(str(published.get("hf_hub_id") or ""), published.get("hf_hub_filename"))
    path = Path(weights).expanduser()
    places = [path / name for name in FILES] if path.is_dir() else [path]
    for place in places:
        if place.is_file():
            return place
    what = f"{path} holds no {' or '.join(FILES)}" if path.is_dir() else f"There is no {weights}"
    raise WeightsError(f"{what}.", "Set weights to a file of weights, its folder, hub or none.")


def fingerprint(path: Path | None) -> str:
    """sha256 of the file; empty without one."""
    if path is None:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fill(encoder: nn.Module, path: Path, classifiers: str | tuple[str, ...] | None) -> None:
    """Put published weights into an encoder, all of them.

    Parameters
    ----------
    encoder
        Of timm, without its classifier. Names of other libraries are changed as timm changes them.
    path
        A file of safetensors, or what torch loads without running code.
    classifiers
        Names of what is not built.

    Raises
    ------
    WeightsError
        When the file is damaged or of another model; all faults together.
    """
    state = _read(path)
    renamed = getattr(sys.modules[type(encoder).__module__], "checkpoint_filter_fn", None)
    if renamed is not None:
        try:
            state = renamed(state, encoder)
        except BROKEN as error:
            raise WeightsError(
                f"{path} does not fit the encoder: {error}.", "Get its own weights."
            ) from error
    beside = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers or ())
    state = {k: v for k, v in state.items() if not k.startswith(tuple(f"{name}." for name in beside))}
    wanted = encoder.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(COUNTER)]
    unexpected = [name for name in state if name not in wanted]
    other = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    faults = Faults(f"{path} does not fit the encoder")
    for names, what in ((missing, "missing"), (unexpected, "unexpected"), (other, "of another shape")):
        faults.check(not names, f"{what}: {listing(names, NAMED)}.")
    faults.raise_if_any(
        WeightsError, "It holds the weights of another model, or settings differ from its own."
    )
    encoder.load_state_dict(wanted | state)


def _read(path: Path) -> dict[str, Tensor]:
    """Weights by name."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, *BROKEN) as error:
        raise WeightsError(
            f"{path} is damaged, or holds more than weights.",
            "Get the file again; only safetensors, and state dicts that torch.save wrote, are read.",
        ) from error
    state = next((held[key] for key in WRAPPERS if key in held), held) if isinstance(held, dict) else held
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict.", "Save model.state_dict() with torch.save.")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _on_hub(repository: str, named: str | None) -> Path:
    """The file in the hub's local cache, else downloaded."""
    advice = "Set weights to a file that you downloaded, or to none."
    if not repository:
        raise WeightsError("timm knows no repository of the hub for this encoder.", advice)
    hub = need("huggingface_hub", "nuclei")
    errors = need("huggingface_hub.errors", "nuclei")
    names = (named,) if named else FILES
    for name in names:
        cached = hub.try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise WeightsError(f"HF_HUB_OFFLINE is set, and the hub's cache holds no {repository}.", advice)
    for name in names:
        try:
            return Path(hub.hf_hub_download(repository, name))
        except errors.LocalEntryNotFoundError as error:  # a kind of the next: nothing was asked
            raise WeightsError(f"The hub cannot be reached for {repository}.", advice) from error
        except errors.EntryNotFoundError:
            continue
        except (errors.HfHubHTTPError, OSError) as error:
            raise WeightsError(
                f"The hub did not give {repository}: {type(error).__name__}.", advice
            ) from error
    raise WeightsError(f"{repository} holds no {' or '.join(names)}.", advice)
