"""One unit of work: a component with its arrays; it pickles, so any executor can run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from triptych.core.errors import NumericsError
from triptych.core.protocols import Array, Matrix
from triptych.core.randomness import generator
from triptych.pipeline.cache import Cache
from triptych.pipeline.scoring import score
from triptych.pipeline.study import Pixels, Study
from triptych.tiles.slide import open_slide
from triptych.tiles.windows import Windows, stream

BATCH = 64


@dataclass(frozen=True, eq=False)
class Task:
    """What to compute.

    Parameters
    ----------
    do
        Verb.
    component
        Ready to use.
    inputs
        Role → array.
    seed
        The recipe's seed.
    key
        Identity of the result.
    unit
        Sample or study, for messages.
    """

    do: str
    component: Any
    inputs: dict[str, Any]
    seed: int
    key: str
    unit: str


def gather(study: Study, do: str, component: Any, reads: dict[str, str], unit: str) -> dict[str, Any]:
    """Take from the table what a step reads."""
    if do == "encode":
        take = {"counts": study.counts, "places": study.places, "windows": study.pixels}[component.takes]
        return {"input": take(unit)}
    if do == "align":
        return {"x": study.array(reads["x"], unit), "batch": study.codes(reads["batch"], unit)[0]}
    if do == "fuse":
        views = {r.removeprefix("views."): study.array(s, unit) for r, s in reads.items() if r != "places"}
        return {"views": views, "places": study.places(unit)}
    if do == "cluster":
        return {"x": study.array(reads["x"], unit)}
    if do == "refine":
        return {"labels": study.codes(reads["labels"], unit)[0], "places": study.places(unit)}
    against = study.array(reads["x"], unit) if "x" in reads else study.codes(reads["truth"], unit)[0]
    return {"against": against, "guess": study.codes(reads["guess"], unit)[0], "places": study.places(unit)}


def perform(task: Task) -> Array:
    """Run the component on its arrays.

    Raises
    ------
    NumericsError
        When the result is not finite.
    """
    rng, component, inputs = generator(task.seed, task.key), task.component, task.inputs
    if task.do == "score":
        return score(component, rng=rng, **inputs)
    value = _call(task.do, component, inputs, rng)
    flat = value.data if hasattr(value, "indptr") else value
    if not np.isfinite(flat).all():
        raise NumericsError(f"{task.do} ({type(component).__name__}) of {task.unit} gave values not finite.")
    return value


def _call(do: str, component: Any, inputs: dict[str, Any], rng: np.random.Generator) -> Array:
    if do == "encode":
        given = inputs["input"]
        return windows_view(component, given) if isinstance(given, list) else component.encode(given, rng)
    if do == "align":
        return component.align(inputs["x"], inputs["batch"], rng)
    if do == "fuse":
        return component.fuse(inputs["views"], inputs["places"], rng)
    if do == "cluster":
        return component.cluster(inputs["x"], rng)
    return component.refine(inputs["labels"], inputs["places"])


def windows_view(encoder: Any, sections: list[Pixels]) -> Matrix:
    """Stream the windows of every section through an image encoder, in slide order."""
    encode = encoder.load("cpu")
    view: Matrix | None = None
    n = sum(len(section.rows) for section in sections)
    for section in sections:
        slide = open_slide(section.image)
        windows = Windows(section.centres_px, encoder.window_um / section.mpp, encoder.tile_px)
        for indices, pixels in stream(slide, windows, BATCH):
            part = encode(pixels)
            if view is None:
                view = np.empty((n, part.shape[1]), dtype=part.dtype)
            view[section.rows[indices]] = part
    if view is None:
        raise NumericsError("There are no windows to encode.")
    return view


def make(task: Task, cache: Cache | None) -> Array:
    """Perform a task and keep its value at once, so that a killed run loses only what was under way."""
    value = perform(task)
    if cache is not None:
        cache.put(task.key, value, {"do": task.do, "use": type(task.component).__name__, "unit": task.unit})
    return value
