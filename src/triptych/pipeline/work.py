"""One unit of work: a component with its arrays; it pickles, so any executor can run it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.core.abundance import Abundance
from triptych.core.analysis import Material
from triptych.core.errors import NumericsError, TriptychWarning
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Places
from triptych.core.randomness import generator
from triptych.pipeline import annotating, predicting, registering, segmenting
from triptych.pipeline.cache import Cache
from triptych.pipeline.cached_tables import keepable
from triptych.pipeline.cropping import crops_of
from triptych.pipeline.deconvolving import given_to
from triptych.pipeline.scoring import score
from triptych.pipeline.study import Study
from triptych.pipeline.windowing import windows_view
from triptych.pipeline.wiring import OF_ABUNDANCE
from triptych.stains import registry as stains


class Made(NamedTuple):
    """What a task gives: a value, what was learned and chosen, notes, and the seconds it took."""

    value: Any
    model: Any = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    chosen: Mapping[str, Any] = MappingProxyType({})


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
    keep
        Whether to fit, so that what is learned comes back beside the value.
    learned
        What earlier steps learned that a clusterer is given: ``encoder``, a model, and ``tuned``, a model for
        each role.
    notes
        What the user should know of the inputs.
    """

    do: str
    component: Any
    inputs: dict[str, Any]
    seed: int
    key: str
    unit: str
    keep: bool = False
    learned: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def gathered(
    study: Study, step: Any, component: Any, reads: dict[str, str], unit: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What `gather` takes, and what triptych warned of as it did."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TriptychWarning)
        inputs = gather(study, step, component, reads, unit)
    return inputs, notes_of(caught)


def gather(study: Study, step: Any, component: Any, reads: dict[str, str], unit: str) -> dict[str, Any]:
    """Take from the table what a step reads."""
    do = step.do
    if do == "encode":
        stain = getattr(step, "stain", None)
        return {
            "input": _taken(study, component, unit),
            **({"stain": stains.make(stain.use, stain.params)} if stain else {}),
        }
    if do == "align":
        return {"x": study.array(reads["x"], unit), "batch": study.codes(reads["batch"], unit)[0]}
    if do == "fuse":
        return {"views": _views(study, reads, unit), "places": study.places(unit)}
    if do == "deconvolve":
        return {"counts": study.counts(unit), "given": given_to(study, step, component, unit)}
    if do == "predict":
        return predicting.gathered(study, step, component, reads, unit)
    if do == "register":
        return registering.gathered(study, unit)
    if do == "annotate":
        return annotating.gathered(study, step, component, unit)
    if do == "segment":
        return segmenting.gathered(study, step, unit)
    if do == "cluster":
        return {"x": study.array(reads["x"], unit)} if step.x else {"views": _views(study, reads, unit)}
    if do == "refine":
        return {"labels": study.codes(reads["labels"], unit)[0], "places": study.places(unit)}
    if do == "analyse":
        return {"material": _material(study, reads, unit)}
    if component.against == "nuclei":
        nuclei = study.overlaps(reads["guess"], unit, organs=step.organs)
        return {"against": np.arange(len(nuclei.organs)), "guess": nuclei, "places": None}
    if component.against in OF_ABUNDANCE:
        return predicting.judged(study, component, reads, unit)
    against = study.array(reads["x"], unit) if "x" in reads else study.codes(reads["truth"], unit)[0]
    guess = study.codes(reads["guess"], unit)[0]
    if hasattr(component, "score_neighbours") and (guess >= 0).all():
        against = study.neighbours(reads["x"], unit, component.neighbours)  # one search for all metrics
    return {"against": against, "guess": guess, "places": study.places(unit)}


def _views(study: Study, reads: dict[str, str], unit: str) -> dict[str, Any]:
    """Views by role, in the order of their roles."""
    named = {role.partition(".")[2]: slot for role, slot in reads.items() if role.startswith("views.")}
    return {role: study.array(slot, unit) for role, slot in named.items()}


def _taken(study: Study, encoder: Any, unit: str) -> Any:
    """The counts, places, windows or crops of a unit."""
    if encoder.takes == "windows":
        return study.pixels(unit, scaled=not getattr(encoder, "window_px", 0))
    if encoder.takes == "crops":
        return crops_of(study, encoder, unit)
    if encoder.takes == "places":
        return study.places(unit)
    return study.counts(unit, labelled=encoder.takes == "labelled-counts")


def _material(study: Study, reads: dict[str, str], unit: str) -> Material:
    if "nuclei" in reads:
        nowhere = Places(np.empty((0, 2)), np.empty(0, np.int64))
        return Material(np.empty(0, np.int64), (), nowhere, nuclei=study.overlaps(reads["nuclei"], unit))
    none: tuple[Any, list[str]] = (np.full(len(study.rows(unit)), -1), [])
    labels, names = study.codes(reads["labels"], unit) if "labels" in reads else none
    truth, known = study.codes(reads["truth"], unit) if "truth" in reads else (None, [])
    return Material(
        labels=labels,
        names=tuple(names),
        places=study.places(unit),
        counts=study.counts(unit) if "counts" in reads else None,
        x=study.array(reads["x"], unit) if "x" in reads else None,
        truth=truth,
        truth_names=tuple(known),
        abundances=predicting.by_role(study, reads, unit),
        samples=tuple(study.codes(slots.SAMPLE, unit)[1]),
    )


def perform(task: Task) -> Made:
    """Run the component on its arrays.

    Raises
    ------
    NumericsError
        When the result is not finite.
    """
    rng, component, inputs = generator(task.seed, task.key), task.component, task.inputs
    if task.do == "score":
        return Made(score(component, rng=rng, **inputs))
    if task.do == "analyse":
        return Made(component.analyse(inputs["material"], rng))
    made = _call(task, rng)
    if isinstance(made.value, Abundance | Overlaps) or task.do == "register":
        return made
    flat = made.value.data if hasattr(made.value, "indptr") else made.value
    if not (np.isfinite(flat).all() or getattr(component, "may_miss", False)):
        raise NumericsError(f"{task.do} ({type(component).__name__}) of {task.unit} gave values not finite.")
    return made


def _call(task: Task, rng: np.random.Generator) -> Made:
    """The component's verb, or its ``fit`` where what it learns is kept."""
    component = task.component
    if task.do == "encode" and isinstance(task.inputs["input"], list):
        return Made(windows_view(component, task.inputs["input"], task.inputs.get("stain"), rng))
    if task.do == "predict":
        return Made(*predicting.predicted(component, task.inputs, rng))
    if task.do == "register":
        return Made(*registering.registered(component, task.inputs))
    if task.do == "annotate":
        return Made(annotating.annotated(component, task.inputs, rng))
    if task.do == "segment":
        return Made(*segmenting.segmented(component, task.inputs, rng))
    given = tuple(task.inputs.values())
    if task.do == "refine":
        return Made(component.refine(*given))
    if task.learned:
        return Made(*component.fit(*given, rng, **task.learned))
    if task.keep and hasattr(component, "fit"):
        return Made(*component.fit(*given, rng))
    return Made(getattr(component, task.do)(*given, rng))


def notes_of(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """What triptych warned of, each once; other warnings go on to whoever listens."""
    ours = [one for one in caught if issubclass(one.category, TriptychWarning)]
    for one in caught:
        if one not in ours:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return tuple(dict.fromkeys(str(one.message) for one in ours))


def make(task: Task, cache: Cache | None) -> Made:
    """Perform a task and keep its value at once, so that a killed run loses only what was under way.

    What was learned is kept where the task says so; of a fold that is held out only what was chosen is.
    """
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TriptychWarning)
        made = perform(task)
    chosen = dict(getattr(made.model, "chosen", None) or {})
    notes, model = (*task.notes, *notes_of(caught)), made.model if task.keep else None
    made = Made(made.value, model, notes, time.perf_counter() - start, chosen)
    if cache is not None and (not isinstance(made.value, pd.DataFrame) or keepable(made.value)):
        about = {
            "do": task.do, "use": type(task.component).__name__, "unit": task.unit, "notes": made.notes,
            "seconds": made.seconds, "chosen": made.chosen,
        }  # fmt: skip
        cache.put(task.key, made.value, about, made.model)
    return made
