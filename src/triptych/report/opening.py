"""The top of the page: what was run, what came out, what limits it."""

from __future__ import annotations

from triptych.core.slots import UNS
from triptych.pipeline.record import RunRecord
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, tag
from triptych.report.wording import DASH, duration, figure, memory, summary

MARK = Html(
    '<svg class="logo" viewBox="0 0 30 20" width="30" height="20" aria-hidden="true">'
    '<rect x="0" y="3" width="7" height="14" rx="1.5" fill="#0072B2"/>'
    '<rect x="9" y="0" width="12" height="20" rx="1.5" fill="#E69F00"/>'
    '<rect x="23" y="3" width="7" height="14" rx="1.5" fill="#009E73"/></svg>'
)


def header(facts: Facts, record: RunRecord) -> Html:
    """Title, result in one sentence, and the particulars."""
    column = str(facts.table.uns.get(UNS, {}).get("truth_column", ""))
    particulars = {
        "Data": record.data,
        "Sections": figure(len(facts.samples.names)),
        "Donors": figure(facts.donors) if facts.donors else DASH,
        "Observations": figure(facts.table.n_obs),
        "Genes": figure(facts.table.n_vars),
        "Truth": f"obs:truth, from the column {column}" if column and facts.truth else DASH,
        "Recipe": record.recipe,
        "Seed": str(record.seed),
        "Started (UTC)": record.started.replace("T", " ")[:16],
        "triptych": record.versions.get("triptych", DASH),
        "Wall time": duration(record.seconds),
        "Peak memory": memory(record.peak_mib),
    }
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in particulars.items())
    return tag(
        "header",
        tag("p", MARK, "triptych report", class_="eyebrow"),
        tag("h1", record.title or record.recipe),
        tag("p", summary(facts, record), class_="lead"),
        tag("dl", *pairs, class_="facts"),
    )


def cautions(record: RunRecord) -> Html:
    """What limits the result, before the result; steps that were left out are among it."""
    skipped = [
        f"Step {step.index} ({step.do} {step.use}) was skipped for {', '.join(units)}."
        for step in record.steps
        if step.do != "score"
        and not step.notes  # those have told it in their own words
        and (units := [unit for unit, state in step.state.items() if state == "skipped"])
    ]
    found = list(dict.fromkeys([*record.warnings, *skipped]))
    if not found:
        return Html("")
    items = tag("ul", *(tag("li", text) for text in found))
    return tag("aside", tag("h2", "What limits this result"), items, class_="cautions", aria_label="Warnings")


def contents(titles: dict[str, str]) -> Html:
    """Links to the sections of the page."""
    links = join(tag("a", title, href=f"#{name}") for name, title in titles.items())
    return tag("nav", links, aria_label="Contents")
