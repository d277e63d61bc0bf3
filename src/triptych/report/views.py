"""The chapter on what each view tells of the known types and of the genes."""

from __future__ import annotations

from typing import Final

from triptych.pipeline.record import RunRecord
from triptych.report.accuracy import accuracy_block
from triptych.report.canvas import Canvas
from triptych.report.genes import gene_block
from triptych.report.markup import Html, join
from triptych.report.overlaps import overlap_block
from triptych.report.pairs import pair_block
from triptych.report.tables import views

TITLE: Final = "What each view tells"


def view_section(canvas: Canvas, record: RunRecord) -> Html:
    """One block for each kind of analysis, all views together; empty where there is none."""
    found = views(record)
    blocks = []
    if "forest" in found:
        blocks.append(accuracy_block(canvas, found["forest"]))
    if "permanova" in found or "permdisp" in found:
        blocks.append(pair_block(canvas, found.get("permanova", []), found.get("permdisp", [])))
    if "ridge" in found:
        blocks.append(gene_block(canvas, found["ridge"]))
    if "jaccard" in found:
        blocks.append(overlap_block(canvas, found["jaccard"]))
    return join(blocks)
