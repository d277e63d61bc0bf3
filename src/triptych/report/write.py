"""Write the report of a run."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from anndata import AnnData

from triptych.core.errors import OutputError
from triptych.pipeline.record import RunRecord
from triptych.report.abundances import TITLE as CELL_TYPES
from triptych.report.abundances import abundance_section, has_abundance
from triptych.report.analyses import analysis_section, analysis_title
from triptych.report.canvas import Canvas
from triptych.report.closing import cite_section, plan_section, repeat_section
from triptych.report.facts import Facts, gather
from triptych.report.maps import map_section, map_steps
from triptych.report.markup import Html, join, tag
from triptych.report.newcomers import distances, newcomer_section
from triptych.report.nuclei import TITLE as NUCLEI
from triptych.report.nuclei import has_nuclei, nuclei_section
from triptych.report.opening import cautions, contents, header
from triptych.report.protocols import protocol_block
from triptych.report.reconstructions import drawings, reconstruction_section
from triptych.report.results import size_section, space_section
from triptych.report.scores import score_section
from triptych.report.sections import panel_section
from triptych.report.tables import others, views
from triptych.report.types import type_section
from triptych.report.views import TITLE, view_section

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_report(table: AnnData, record: RunRecord, out: Path) -> Path:
    """Write ``report.html``, which needs no other file, and ``figures/*.png``.

    Parameters
    ----------
    table
        The table as the run left it.
    record
        What the run did.
    out
        Folder of the run; made when it does not exist.

    Returns
    -------
    pathlib.Path
        Of the page.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    MissingSlotError
        When the table does not name the sections.
    """
    numbers = dict.fromkeys(("value", "low", "high"), float)  # a record that was read back may hold None
    record = replace(record, scores=record.scores.astype(numbers))
    facts = gather(table, record)
    target, part = out / "report.html", out / "report.html.part"
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        text = page(facts, record, Canvas(out / "figures"))
        part.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
        part.replace(target)  # a page is never half written
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to {out}: {error}.", "Choose another folder."
        ) from error
    return target


def page(facts: Facts, record: RunRecord, canvas: Canvas) -> str:
    """The whole page."""
    chapters = {}
    if distances(record) is not None:
        chapters["new"] = ("New sections", newcomer_section(canvas, record))
    scores = join([protocol_block(facts, record), score_section(canvas, facts, record)])
    chapters["scores"] = ("Scores", scores)
    if has_nuclei(facts, record):
        chapters["nuclei"] = (NUCLEI, nuclei_section(canvas, facts, record))
    if has_abundance(facts, record):
        chapters["abundance"] = (CELL_TYPES, abundance_section(canvas, facts, record))
    if views(record):
        chapters["views"] = (TITLE, view_section(canvas, record))
    chapters["sections"] = ("Sections", panel_section(canvas, facts, record))
    if facts.view:
        chapters["space"] = ("Joint space", space_section(canvas, facts, record.seed))
    if map_steps(facts, record):
        chapters["maps"] = ("Maps of the spaces", map_section(canvas, facts, record))
    if any(drawings(record)):
        chapters["reconstructions"] = ("Reconstructions", reconstruction_section(canvas, record))
    if facts.truth:
        chapters["types"] = ("Known labels", type_section(canvas, facts, facts.truth))
    if facts.guesses:
        chapters["sizes"] = ("Domain sizes", size_section(facts))
    if others(record):
        chapters["analyses"] = (analysis_title(record), analysis_section(canvas, facts, record))
    chapters["plan"] = ("Plan", plan_section(record))
    chapters["cite"] = ("How to cite", cite_section(record))
    chapters["repeat"] = ("Repeat it", repeat_section(record))
    blocks = [tag("section", tag("h2", title), body, id=name) for name, (title, body) in chapters.items()]
    links = contents({name: title for name, (title, _) in chapters.items()})
    body = tag("main", header(facts, record), cautions(record), links, *blocks)
    return f"<!DOCTYPE html>\n{tag('html', _head(record), tag('body', body), lang='en')}\n"


def _head(record: RunRecord) -> Html:
    style = (files("triptych.report") / "style.css").read_text(encoding="utf-8")
    return tag(
        "head",
        Html('<meta charset="utf-8">'),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"triptych {record.versions.get('triptych', '')}"),
        tag("title", f"{record.title or record.recipe} · triptych"),
        Html(f"<style>{style}</style>"),
    )
