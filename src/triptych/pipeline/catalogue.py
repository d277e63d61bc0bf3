"""What there is: components with their parameters and sources, recipes, and the state of the installation."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import MISSING, fields
from importlib.util import find_spec
from typing import Any

import yaml

from triptych.core.checks import nearest
from triptych.core.errors import UnknownComponentError
from triptych.core.settings import cache_dir
from triptych.pipeline.cache import Cache
from triptych.pipeline.provenance import versions
from triptych.pipeline.recipe import shipped
from triptych.pipeline.rooms import BY_NAME

RECIPES = "recipes"
EXTRAS = {
    "pixels": "spatialdata", "dask": "distributed", "align": "scvi", "images": "timm",
    "foundation": "transformers", "cells": "shapely", "slides": "openslide", "umap": "umap",
    "multiplex": "leidenalg", "profiling": "pycytominer", "approximate": "pynndescent",
    "stains": "torchstain", "analyses": "decoupler", "deconvolution": "cell2location",
}  # fmt: skip


def rooms() -> list[str]:
    """Names of the rooms, and ``recipes``."""
    return [*BY_NAME, RECIPES]


def _room(room: str) -> Any:
    if room not in BY_NAME:
        raise UnknownComponentError(f"There is no room {room}.", nearest(room, rooms()))
    return BY_NAME[room]


def summaries(room: str) -> Iterator[tuple[str, str]]:
    """Name and first line of everything in a room.

    Raises
    ------
    UnknownComponentError
        When there is no such room.
    """
    if room == RECIPES:
        for name, text in shipped().items():
            yield name, str(yaml.safe_load(text).get("title", ""))
        return
    registry = _room(room)
    for name in registry:
        yield name, (inspect.getdoc(registry.find(name)) or "").split("\n", 1)[0]


def described(room: str, name: str) -> str:
    """A component in words: what it does, parameters with defaults, source; or a recipe's text.

    Raises
    ------
    UnknownComponentError
        When there is no such room, component or recipe.
    """
    if room == RECIPES:
        texts = shipped()
        if name not in texts:
            raise UnknownComponentError(f"There is no recipe {name}.", nearest(name, texts))
        return texts[name].rstrip()
    cls = _room(room).find(name)
    lines = [f"{room} · {name} · revision {getattr(cls, 'revision', 1)}", "", inspect.getdoc(cls) or ""]
    lines += ["", "Defaults"] + [f"  {f.name}: {_default(f)}" for f in fields(cls)] if fields(cls) else []
    if hasattr(cls, "card"):
        lines += ["", "Weights"] + [f"  {f.name}: {getattr(cls.card, f.name)}" for f in fields(cls.card)]
    cite = getattr(cls, "cite", "")
    return "\n".join([*lines, *(["", f"Source: {cite}"] if cite else [])])


def _default(field: Any) -> str:
    if field.default is not MISSING:
        return repr(field.default)
    return repr(field.default_factory()) if field.default_factory is not MISSING else "needed"


def health() -> Iterator[tuple[str, str]]:
    """Versions, extras, cache and device, as rows."""
    import torch

    yield from versions().items()
    for extra, module in EXTRAS.items():
        there = "installed" if find_spec(module) else f"absent: pip install 'triptych[{extra}]'"
        yield f"extra {extra}", there
    yield "cache", f"{cache_dir()} ({len(list(Cache(cache_dir()).entries()))} entries)"
    yield "processors", f"{os.cpu_count()}, torch uses {torch.get_num_threads()}"
    yield "GPU", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
