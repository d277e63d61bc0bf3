"""Which step feeds which: slots nobody writes and views nobody reads, found before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from triptych.core import slots
from triptych.core.checks import Faults, nearest
from triptych.core.errors import RecipeError
from triptych.core.slots import Slot
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.step import BaseStep

DATA = (
    slots.COUNTS, slots.SAMPLE, slots.DONOR, slots.BATCH, slots.TRUTH, slots.SPATIAL,
    slots.IMAGE, slots.STAINS, slots.MOLECULES, slots.OUTLINES,
)  # fmt: skip
ENCODER_READS: dict[str, dict[str, str]] = {
    "counts": {"counts": slots.COUNTS, "batch": slots.BATCH},
    "places": {"places": slots.SPATIAL},
    "windows": {"image": slots.IMAGE, "places": slots.SPATIAL},
    "labelled-counts": {"counts": slots.COUNTS, "batch": slots.BATCH, "truth": slots.TRUTH},
}
OF_ABUNDANCE = ("abundance", "interval")  # what metrics of abundance are held against
CROPS = {"stains": slots.STAINS, "molecules": slots.MOLECULES}


def reads_of(step: Any, component: Any) -> dict[str, str]:
    """Role → slot of everything a step reads."""
    if step.do == "encode" and component.takes == "crops":
        return {**{name: CROPS[name] for name in sorted(component.sees)}, "places": slots.SPATIAL}
    if step.do == "encode":
        return ENCODER_READS[component.takes]
    reads: dict[str, str] = dict(step.reads)
    if step.do == "predict" and component.takes == "windows":
        reads["image"] = slots.IMAGE
    if step.do == "score" and component.against in OF_ABUNDANCE and step.truth == slots.TRUTH:
        reads["truth"] = slots.ABUNDANCE
    if step.do == "analyse" and "counts" in component.takes:
        reads["counts"] = slots.COUNTS
    if step.do == "analyse" and "truth" in component.takes:
        reads["truth"] = slots.TRUTH
    return reads


def over_of(step: Any, component: Any, *, per_sample: bool) -> str:
    """Whether a step sees one sample at a time, or the study."""
    if per_sample:
        return "sample"
    if step.over:
        return str(step.over)
    if step.do == "encode" and _alone(component):
        return "sample"
    return str(type(step).default_over) if isinstance(step, BaseStep) else "study"


def _alone(of: Any) -> bool:
    """Whether an encoder is shown one section at a time."""
    return of.takes in {"places", "windows"} or (of.takes == "crops" and not hasattr(of, "fit"))


def check(recipe: Recipe, held: Callable[[str], bool] | None = None) -> None:
    """Check that every slot read is written earlier or held by the data, and that every view is read.

    Parameters
    ----------
    recipe
        Valid in itself.
    held
        Whether the data hold a slot; None when there are no data yet: then slots of views and labels
        that no step writes may come with the data, as long as no step writes them later.

    Raises
    ------
    RecipeError
        With every fault.
    """
    faults = Faults(f"recipe {recipe.name}")
    written: list[str] = []
    unread: dict[str, int] = {}
    made: dict[str, str] = {}  # slot → the verb that wrote it last
    later = [slot for step in recipe.steps for slot in (step.writes, step.also) if slot]
    for number, step in enumerate(recipe.steps, start=1):
        component = BY_VERB[step.do].make(step.use, step.params)
        for role, slot in reads_of(step, component).items():
            unread.pop(slot, None)
            if slot in DATA or slot in written or (held is not None and held(slot)):
                continue
            if held is None and slot not in later:
                continue
            hint = nearest(slot, written) if written else ""
            faults.add(f"step {number} ({step.do}) reads {slot} ({role}), which nothing has written. {hint}")
        asked = [*_asked(step, component), *_misplaced(step, component)]
        faults.found += [f"step {number} ({step.do}) {fault}" for fault in asked]
        if step.do == "deconvolve" and held is not None and not getattr(step, component.takes):
            faults.add(f"step {number} (deconvolve) {_unnamed(component)}")
        if step.do == "cluster":
            faults.found += [f"step {number} (cluster) {fault}" for fault in _learned(step, component, made)]
        if step.writes:
            if step.writes in unread:
                faults.add(f"step {number} ({step.do}) overwrites {step.writes} before anything has read it.")
            written += [slot for slot in (step.writes, step.also) if slot]
            made |= {step.writes: step.do, **({step.also: "space"} if step.also else {})}
            if step.do in {"encode", "align"}:
                unread[step.writes] = number
    used = any(step.do in {"fuse", "cluster"} for step in recipe.steps)
    for slot, number in unread.items():
        if used:
            faults.add(f"step {number} writes {slot}, which no step reads. Remove the step, or read it.")
    faults.raise_if_any(RecipeError)


def _asked(step: Any, component: Any) -> list[str]:
    """What a step must name, or must not, for its component."""
    found = []
    if step.do == "analyse":
        of_types = "abundances" in component.takes
        unlabelled = of_types or "nuclei" in component.takes
        if "x" in component.takes and not step.x:
            found.append("needs a space: name it with x.")
        if not unlabelled and not step.labels:
            found.append("needs labels: name them with labels.")
        if bool(step.abundances) != of_types:
            found.append("needs abundances by role." if of_types else f"{step.use} takes no abundances.")
        if bool(step.nuclei) != ("nuclei" in component.takes):
            found.append(
                f"{step.use} takes no nuclei." if step.nuclei else "needs nuclei: name them with nuclei."
            )
    if step.do in {"segment", "annotate"} and step.over == "sample":
        found.append("looks at all sections together, so it is over the study. Leave over out.")
    if step.do == "register" and step.over == "study":
        found.append("looks at one section at a time. Leave over out.")
    if step.do == "predict" and step.over == "sample":
        found.append("learns from some sections for others, so it is over the study. Leave over out.")
    if step.do == "predict" and step.to == step.target:
        found.append(f"would write over {step.target}, which it learns from. Name another slot with to.")
    if step.do == "predict" and bool(step.views) == (component.takes == "windows"):
        found.append(
            "takes windows of the image, no views." if step.views else "needs views: name them with views."
        )
    return found


def _misplaced(step: Any, component: Any) -> list[str]:
    """Labels where cell types are judged or learned from, and the other way round."""
    of_types = step.do == "score" and component.against in OF_ABUNDANCE
    found = [f"{step.use} takes no space. Leave x out."] if of_types and step.x else []
    for role, slot in reads_of(step, component).items():
        judged = step.do == "score" and role in {"guess", "truth"}
        of_nuclei = role == "nuclei" or (step.do == "score" and component.against == "nuclei")
        if role == "target" or role.startswith("abundances.") or (judged and of_types):
            wanted, words = "obsm", "cell types, a frame in obsm"
        elif of_nuclei:
            wanted, words = "nuclei", "nuclei, what a segment step writes"
        elif role == "labels" or judged:
            wanted, words = "obs", "labels, a column of obs"
        else:
            continue
        if Slot.parse(slot).container != wanted:
            found.append(f"reads {slot} as {role}, which must be {words}.")
    return found


def _unnamed(component: Any) -> str:
    """What a deconvolver is to read, once there are data."""
    takes = component.takes
    what = "an h5ad file of annotated cells" if takes == "reference" else "a file, or a folder with one each"
    return f"needs a {takes}, {what}: --set deconvolve.{takes}=PATH."


def _learned(step: Any, component: Any, made: Mapping[str, str]) -> list[str]:
    """What is wrong with what a cluster step takes, starts from and learns."""
    found = []
    if bool(step.views) != getattr(component, "takes_views", False):
        wanted = "a space: name it with x" if step.views else "views by role: name them with views"
        found.append(f"{step.use} takes {wanted}.")
    if (step.encoder or step.space) and not getattr(component, "learns_space", False):
        found.append(f"names an encoder or a space, but {step.use} learns no space. Leave them out.")
    if (step.encoder or step.space) and step.k_from in {"bic", "stability"}:
        found.append(f"cannot choose k by {step.k_from} and learn a space too. Set k, or k_from: truth.")
    if step.encoder and made.get(step.encoder) != "fuse":
        found.append(f"starts from the encoder of {step.encoder}, which no fuse step has written.")
    found += [
        f"inherits the settings of {slot} ({role}), which no cluster step has written."
        for role, slot in step.tuned.items()
        if made.get(slot) != "cluster"
    ]
    return found
