"""The end of the page: what was done, what to cite, how to do it again."""

from __future__ import annotations

import json
import shlex
from typing import Final

from triptych.pipeline.record import RunRecord, StepRecord
from triptych.report.markup import Html, cited, join, table, tag
from triptych.report.wording import duration

NO_MODEL: Final = "No model is saved"  # how a run begins to say so


def plan_section(record: RunRecord) -> Html:
    """One row for each step."""
    head = [
        "#",
        "Verb",
        "Component",
        "Reads → writes",
        "Parameters",
        "Result",
        "Time",
        "Peak memory",
        "Notes",
    ]
    return table("Steps as they were run", head, (_row(step) for step in record.steps))


def _row(step: StepRecord) -> list[str | Html]:
    reads = ", ".join(dict.fromkeys(step.reads.values()))
    flow = tag("code", f"{reads} → {step.to}" if step.to else reads)
    params = join(tag("code", f"{name}: {_plain(value)}") for name, value in step.params.items())
    notes = join(tag("span", note) for note in step.notes)
    return [
        str(step.index), step.do, tag("b", step.use), flow, tag("div", params, class_="stack"),
        _state(step), tag("span", duration(step.seconds), class_="time"), _memory(step),
        tag("div", notes, class_="stack"),
    ]  # fmt: skip


def _memory(step: StepRecord) -> Html:
    """Of the process during the step; nothing where it was not watched."""
    text = f"{step.peak_mib:,.0f} MiB".replace(",", "\u202f") if step.peak_mib else ""
    return tag("span", text, class_="time")


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _state(step: StepRecord) -> Html:
    """How many units were made, cached and skipped."""
    states = list(step.state.values())
    parts = []
    for state in dict.fromkeys(states):
        how_many = f" {states.count(state)}×" if len(states) > 1 else ""
        parts.append(tag("span", f"{state}{how_many}", class_=f"state {state}"))
    return tag("div", *parts, class_="stack")


def cite_section(record: RunRecord) -> Html:
    """The recipe's source, then those of its components."""
    lines = [join([f"{record.recipe}: ", cited(record.cite)])] if record.cite else []
    for step in record.steps:
        source = step.cite
        if source:
            lines.append(join([f"{step.use}: ", cited(source)]))
    lines.append(join([f"triptych {record.versions.get('triptych', '')}, the software that ran it."]))
    return tag("ul", *(tag("li", line) for line in dict.fromkeys(lines)), class_="cite")


def _new_sections(record: RunRecord) -> Html:
    """How the model of a run labels sections that it has not seen; empty where none was saved."""
    unsaved = any(text.startswith(NO_MODEL) for text in record.warnings)
    if record.command or unsaved or not record.steps:
        return Html("")
    text = "To label new sections with what this run has learned; OUT is the folder of this page:"
    return join([
        tag("p", text, class_="note"),
        tag("pre", tag("code", "triptych apply OUT DATA -o NEW"), tabindex=0),
    ])  # fmt: skip


def repeat_section(record: RunRecord) -> Html:
    """The command, the identity of the data and the versions."""
    words = f"triptych run recipe.yaml {shlex.quote(record.data)} {record.options}"
    command = record.command or f"{words.rstrip()} -o again --seed {record.seed}"
    versions = (
        tag("div", tag("dt", name), tag("dd", value)) for name, value in sorted(record.versions.items())
    )
    return join([
        tag("pre", tag("code", command), tabindex=0),
        tag("p", "recipe.yaml lies beside this page.", class_="note"),
        _new_sections(record),
        tag("p", "Identity of the data: ", tag("code", record.data_identity), class_="note"),
        tag("dl", *versions, class_="facts versions"),
    ])  # fmt: skip
