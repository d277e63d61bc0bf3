"""The chapter on cell types: maps of what is known and what was predicted, and what that was worth."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from triptych.core.progress import track
from triptych.core.protocols import Indices, Vector
from triptych.pipeline.record import RunRecord
from triptych.plots.abundance import Where, abundance
from triptych.plots.spatial import spacing
from triptych.report.canvas import Canvas, slug
from triptych.report.colocalised import colocalised_block
from triptych.report.covered import covered_block
from triptych.report.dropped import dropped_block
from triptych.report.estimates import Estimate, predictions, targets, unit
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, tag
from triptych.report.pictures import Section, section
from triptych.report.predictable import predictable_block
from triptych.report.tables import of_abundance
from triptych.report.wording import count, figure

TITLE: Final = "Cell types"
DRAWN: Final = 6  # types
ROWS: Final = 5  # estimates of a section
SECTIONS: Final = 12  # sections whose maps are in the page
TOP: Final = 99.0  # percentile of the known values at which the colours end
WIDTH: Final = 1.55  # inches of a map
POINTS: Final = 20_000  # observations of a map, which has hardly more pixels than that
FULL: Final = 0.85  # least diameter of an observation, of the distance to the next
ALIKE: Final = (
    "Colours of a type mean the same in all rows and all sections; they end at its 99th percentile. Grey: "
    "not predicted, or not known. Observations are drawn enlarged."
)


def has_abundance(facts: Facts, record: RunRecord) -> bool:
    """Whether there is anything to tell in the chapter."""
    return bool(predictions(facts, record) or targets(facts, record) or of_abundance(record))


def abundance_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """Maps, what can be predicted, how often intervals hold, what was left out, and what lies together."""
    tables = of_abundance(record)
    return join([
        map_block(canvas, facts, record),
        predictable_block(canvas, tables.get("predictability", [])),
        covered_block(canvas, facts, record),
        dropped_block(canvas, facts, record),
        colocalised_block(
            canvas, tables.get("colocalisation", []), tables.get("colocalisation-similarity", [])
        ),
    ])  # fmt: skip


def _varied(guesses: list[Estimate]) -> list[Estimate]:
    """Without those that say the same of all observations of a section, of which a map shows nothing."""
    return [one for one in guesses if not (one.step and one.step.use == "mean")] or guesses


def map_block(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """For each section a row of maps for each estimate; empty where there is none."""
    held, guesses = targets(facts, record), predictions(facts, record)
    shown = [*held, *_varied(guesses)[-max(ROWS - len(held), 1) :]]
    if not shown:
        return Html("")
    first = shown[0] if held else shown[-1]  # of slides without known types, the result
    types, rule = _types(first)
    tops = _tops([first, *shown], types)
    words = unit(facts, record, shown[0])
    names = facts.samples.names[:SECTIONS]
    figures = [
        _figure(canvas, facts, shown, sample, types=types, tops=tops, unit=words)
        for sample in track(range(len(names)), "drawing cell types", len(names))
    ]
    notes = [f"{rule} {ALIKE}", *_left_out(facts, len(held) + len(guesses))]
    return join([
        tag("h3", "Where the cell types lie"), *(tag("p", text, class_="note") for text in notes), *figures,
    ])  # fmt: skip


def _types(first: Estimate) -> tuple[list[str], str]:
    """The types that vary most in the first estimate, and the rule in words."""
    known = first.values[first.known]
    spread = known.var(axis=0) if len(known) else np.zeros(len(first.types))
    order = np.argsort(-spread, kind="stable")[:DRAWN]
    names = [first.types[code] for code in order]
    if len(first.types) <= DRAWN:
        return names, f"All {count(len(names), 'type')}, those that vary most in {first.slot} first."
    rule = (
        f"The {DRAWN} of {len(first.types)} types whose values vary most in {first.slot} (highest variance)."
    )
    return names, rule


def _tops(shown: list[Estimate], types: list[str]) -> Vector:
    """Where the colours of each type end: a high percentile of the first estimate in which it is known."""
    tops = np.zeros(len(types))
    for one in shown:
        values = one.of(types)
        for column in np.flatnonzero(tops == 0):
            finite = values[np.isfinite(values[:, column]), column]
            if finite.size:  # a type that is rarer than one in a hundred has its highest value
                tops[column] = np.percentile(finite, TOP) or finite.max()
    return np.where(tops > 0, tops, 1.0)


def _left_out(facts: Facts, rows: int) -> list[str]:
    told = []
    if rows > ROWS:
        told.append(f"{ROWS} of {rows} estimates are drawn: no constant ones, and the last of the others.")
    if len(facts.samples.names) > SECTIONS:
        told.append(f"The first {SECTIONS} of {len(facts.samples.names)} sections are drawn.")
    if np.bincount(facts.samples.codes[facts.samples.codes >= 0], minlength=1).max() > POINTS:
        told.append(f"{figure(POINTS)} observations of larger sections are drawn, at random.")
    return told


def _figure(
    canvas: Canvas, facts: Facts, shown: list[Estimate], sample: int, *, types: list[str], tops: Vector,
    unit: str,
) -> Html:  # fmt: skip
    """The maps of one section."""
    name, rows = facts.samples.names[sample], facts.rows(sample)
    place = section(facts, sample)
    if place is None:
        return tag("p", f"{name}: the table holds no coordinates.", class_="note")
    some = _some(len(place.xy))
    size = max(place.size, FULL * spacing(place.xy[some]))  # on small maps, nearly side by side
    where = Where(place.xy[some], size, place.window, place.um_per_unit)
    learned_from = any(one.step for one in shown)
    names = [one.name + (" (target)" if learned_from and not one.step else "") for one in shown]
    at = np.flatnonzero(rows)[some]
    maps = {row: one.of(types)[at] for row, one in zip(names, shown, strict=True)}

    def draw(ax: Axes, ink: str) -> None:
        abundance(ax, maps, types=types, tops=tops, where=where, unit=unit, ink=ink)

    alt = f"Maps of {', '.join(types)} in section {name}, a row each for {', '.join(maps)}"
    picture = canvas.chart(
        f"types-{sample + 1:02d}-{slug(name)}", draw, _size(place, len(maps), len(types)), alt
    )
    parts = [f"{one.name}: {count(int(one.known[rows].sum()), 'observation')}" for one in shown]
    caption = tag("figcaption", name, tag("small", f" {'; '.join(parts)}"))
    return tag("figure", caption, picture, class_="broad")


def _some(n: int) -> Indices:
    """All observations, or as many as are drawn, at random, in their order."""
    if n <= POINTS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, POINTS, replace=False))


def _size(place: Section, rows: int, columns: int) -> tuple[float, float]:
    """Inches of all maps of a section, of which each keeps the section's shape."""
    high = float(np.clip(place.window.height / place.window.width, 0.4, 1.8))
    return 0.5 + WIDTH * columns, 0.9 + 0.86 * WIDTH * high * rows
