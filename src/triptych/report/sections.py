"""The panels of each section, side by side: tissue, known labels, predicted domains."""

from __future__ import annotations

import pandas as pd

from triptych.core.progress import track
from triptych.pipeline.record import RunRecord
from triptych.plots.palette import PALETTE
from triptych.plots.window import bar_um, length_text
from triptych.report.canvas import Canvas, slug
from triptych.report.facts import Facts, Labels
from triptych.report.markup import Html, join, tag
from triptych.report.pictures import Section, labelled, legends, section, tissue
from triptych.report.results import key
from triptych.report.thumbnails import UnreadableImageError, thumbnail
from triptych.report.wording import CLUSTERS, count, interval, metric_name, number

LIMIT = 24  # sections whose panels are in the page, so that it stays light


def panel_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """Legends once, then an article for each section."""
    legends(canvas, facts)
    names = facts.samples.names[:LIMIT]
    articles = [
        _article(canvas, facts, record, sample)
        for sample in track(range(len(names)), "drawing sections", len(names))
    ]
    return join([_notes(facts), _keys(facts), tag("div", *articles, class_="sections")])


def _notes(facts: Facts) -> Html:
    notes = []
    if len(facts.samples.names) > LIMIT:
        notes.append(
            f"The first {LIMIT} of {len(facts.samples.names)} sections are shown; the scores are of all."
        )
    if facts.truth and facts.guesses:
        notes.append(
            "A predicted domain has the colour of the known label that it overlaps most, one to one "
            "(Hungarian method). This chooses colours only; no score uses it."
        )
    if any(labels.per_sample for labels in facts.guesses):
        notes.append(
            "Sections were clustered one by one: the same number in two sections is not the same domain."
        )
    if any(code >= len(PALETTE) for labels in facts.guesses for code in labels.legend.values()):
        notes.append(
            f"There are more categories than the {len(PALETTE)} colours, which begin again after the last."
        )
    return join(tag("p", text, class_="note") for text in notes)


def _keys(facts: Facts) -> Html:
    lists = (tag("div", tag("h4", _title(labels, facts)), key(labels)) for labels in _shown(facts))
    return tag("div", *lists, class_="keys")


def _shown(facts: Facts) -> list[Labels]:
    """The labels that have a map each."""
    return [*([facts.truth] if facts.truth else []), *facts.types, *facts.guesses]


def _title(labels: Labels, facts: Facts) -> str:
    if labels is facts.truth:
        return "Known labels"
    kind = "Annotated" if labels in facts.types else "Predicted"
    return f"{kind}: {labels.slot.removeprefix('obs:')}"


def _article(canvas: Canvas, facts: Facts, record: RunRecord, sample: int) -> Html:
    name = facts.samples.names[sample]
    place = section(facts, sample)
    if place is None:
        return tag("article", tag("h3", name), tag("p", "The table holds no coordinates.", class_="note"))
    stem = f"section-{sample + 1:02d}-{slug(name)}"
    slide, trouble = _slide(canvas, facts, place, name, stem)
    figures = [slide] if slide else []
    for labels in _shown(facts):
        codes = labels.colours[facts.rows(sample)]
        if labels is facts.truth and not (codes >= 0).any():
            continue  # a map of nothing
        picture = labelled(canvas, place, codes, labels, (name, stem))
        figures.append(_figure(picture, _caption(labels, facts, record.scores, name)))
    heading = tag("h3", name, tag("small", f" {_measures(place)}"))
    return tag("article", heading, tag("div", *figures, class_="panels"), trouble)


def _measures(place: Section) -> str:
    """How many observations there are, and how long the scale bar is."""
    size = count(len(place.xy), "observation")
    if not place.um_per_unit:
        return f"{size} · no physical scale is known"
    drawn = ", drawn enlarged" if place.enlarged else ""
    return f"{size}{drawn} · bar: {length_text(bar_um(place.window, place.um_per_unit))}"


def _slide(canvas: Canvas, facts: Facts, place: Section, name: str, stem: str) -> tuple[Html | None, Html]:
    """The figure of the slide if there is one, and what went wrong if anything did."""
    try:
        image = thumbnail(facts, name, place.window)
    except UnreadableImageError as error:
        return None, tag("p", str(error), class_="note")
    if image is None:
        return None, Html("")
    return _figure(tissue(canvas, place, image, name, stem), join(["Tissue"])), Html("")


def _figure(picture: Html, caption: Html) -> Html:
    return tag("figure", picture, tag("figcaption", caption))


def _caption(labels: Labels, facts: Facts, scores: pd.DataFrame, sample: str) -> Html:
    """The name of the slot, with its first score in this section."""
    title = _title(labels, facts)
    rows = scores[
        (scores["slot"] == labels.slot) & (scores["sample"] == sample) & (scores["metric"] != CLUSTERS)
    ]
    if not len(rows):
        return join([title])
    usual = ~rows["metric"].astype(str).str.contains(":")  # a score with the known labels says more
    row = (rows[usual] if usual.any() else rows).iloc[0]
    bounds = interval(row["low"], row["high"])
    value = f" {metric_name(str(row['metric']))} {number(row['value'])}" + (f" ({bounds})" if bounds else "")
    return join([title, tag("small", value)])
