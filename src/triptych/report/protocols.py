"""How cell types were predicted, in words: what was held out, from what, and what the target is."""

from __future__ import annotations

from typing import Final

from triptych.core.slots import ABUNDANCE
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.report.estimates import origin, predict_steps
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, tag
from triptych.report.wording import count

HELD: Final = {  # how the names of folds begin → what each of them was, and what that is worth
    "donor ": ("donor", "predicted by a model that saw no section of that donor"),
    "sample ": (
        "section",
        "predicted by a model that did not see it, but may have seen others of its donor, which flatters",
    ),
    "blocks ": (
        "part of the blocks",
        "predicted by a model that saw the rest of the same sections, which flatters",
    ),
}
INSIDE: Final = "Settings were chosen, training was stopped and intervals were measured inside each fit."


def protocol_block(facts: Facts, record: RunRecord) -> Html:
    """A paragraph for each predict step, and one on each target; empty where nothing was predicted."""
    steps = predict_steps(record)
    if not steps:
        return Html("")
    said: dict[str, list[Html]] = {}
    for step in steps:
        said.setdefault(_protocol(step), []).append(tag("li", tag("code", step.to), f": {_source(step)}"))
    told = [
        part
        for words, lines in said.items()
        for part in (tag("p", words, class_="note"), tag("ul", *lines, class_="note"))
    ]
    read = dict.fromkeys(step.reads.get("target", ABUNDANCE) for step in steps)
    words = [
        f"What is predicted, {slot}, is {origin(facts, record, slot)}, and no measurement: a prediction that "
        "agrees with it is as right as it is."
        for slot in read
    ]
    return join([
        tag("h3", "How cell types were predicted"), *told,
        *(tag("p", text, class_="note") for text in words),
    ])  # fmt: skip


def _source(step: StepRecord) -> str:
    """What predicts, and from what."""
    views = [slot.partition(":")[2] for role, slot in step.reads.items() if role.startswith("views.")]
    source = ", ".join(views) if views else "windows of the slides themselves"
    return f"{step.use} from {source}"


def _protocol(step: StepRecord) -> str:
    """What was held out of a predict step, in a sentence or two."""
    folds = [name for name in step.keys if name.startswith(tuple(HELD))]
    if not folds:
        return f"What is predicted was {step.protocol or 'learned before'}."
    kind, worth = HELD[next(start for start in HELD if folds[0].startswith(start))]
    return f"Each {kind} in turn was held out ({count(len(folds), 'fit')}) and {worth}. {INSIDE}"
