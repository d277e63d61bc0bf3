"""The chapter on nuclei: where they lie, what they are, what was learned from them, and what was found."""

from __future__ import annotations

from typing import Final

from triptych.pipeline.record import RunRecord
from triptych.report.canvas import Canvas
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, tag
from triptych.report.nuclei_found import found_block
from triptych.report.nuclei_labels import labels_block
from triptych.report.nuclei_scored import scored_block
from triptych.report.nuclei_types import types_block
from triptych.report.registered import TITLE as REGISTERED
from triptych.report.registered import registered_section, registrations
from triptych.report.tables import beside, of_nuclei

TITLE: Final = "Nuclei"


def has_nuclei(facts: Facts, record: RunRecord) -> bool:
    """Whether the chapter has anything to tell."""
    told = (beside(record, "labels"), beside(record, "nuclei-found"), registrations(record))
    return bool(facts.types or of_nuclei(record)) or any(frame is not None for frame in told)


def nuclei_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """A block for each stage, in their order; empty ones where there is nothing to tell."""
    return join([
        _registered(canvas, facts, record), types_block(canvas, facts), labels_block(canvas, facts, record),
        scored_block(canvas, facts, record), found_block(canvas, record),
    ])  # fmt: skip


def _registered(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    if registrations(record) is None:
        return Html("")
    return join([tag("h3", REGISTERED), registered_section(canvas, facts, record)])
