"""Joint space and sizes of domains."""

from __future__ import annotations

import numpy as np

from triptych.plots.palette import colour
from triptych.report.canvas import Canvas
from triptych.report.facts import Facts, Labels
from triptych.report.markup import Html, join, table, tag
from triptych.report.pictures import spaces


def space_section(canvas: Canvas, facts: Facts, seed: int) -> Html:
    """The joint space, coloured in turn by domain, section and known label."""
    titles = {
        facts.samples.slot: "by section",
        **({facts.truth.slot: "by known label"} if facts.truth else {}),
    }
    labels = {
        one.slot: one for one in [*facts.guesses, facts.samples, *([facts.truth] if facts.truth else [])]
    }
    figures = [
        tag("figure", picture, tag("figcaption", titles.get(slot, f"by {slot}")), key(labels[slot]))
        for slot, picture in spaces(canvas, facts, seed).items()
    ]
    note = f"{facts.view} in its first two principal components, computed on at most 20 000 observations."
    return join([tag("p", note, class_="note"), tag("div", *figures, class_="spaces")])


def key(labels: Labels) -> Html:
    """Names beside colours; with hundreds of names only the first ones."""
    entries = list(labels.legend.items())
    items = [tag("li", swatch(code), name) for name, code in entries[:40]]
    more = [tag("li", f"and {len(entries) - 40} more")] if len(entries) > 40 else []
    missing = [tag("li", swatch(-1), "unlabelled")] if (labels.codes < 0).any() else []
    return tag("ul", *items, *more, *missing, class_="key")


def swatch(code: int) -> Html:
    """A dot in the colour of a category."""
    return dot(colour(code))


def dot(hexa: str) -> Html:
    """A dot in a colour."""
    return tag("i", style=f"background:{hexa}", class_="dot")


def size_section(facts: Facts) -> Html:
    """How many observations of each section fell into each domain of the last slot."""
    last = facts.guesses[-1]
    sections, domains = len(facts.samples.names), len(last.names)
    both = (facts.samples.codes >= 0) & (last.codes >= 0)
    flat = facts.samples.codes[both] * domains + last.codes[both]
    sizes = np.bincount(flat, minlength=sections * domains).reshape(sections, domains)
    lines = [
        [name, _bar(facts, last, sample, sizes[sample]), *map(str, sizes[sample]), str(sizes[sample].sum())]
        for sample, name in enumerate(facts.samples.names)
    ]
    head = ["Section", "Share", *last.names, "all"]
    return table(f"Observations in each domain of {last.slot}", head, lines)


def _bar(
    facts: Facts, labels: Labels, sample: int, sizes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Html:
    rows = facts.rows(sample)
    codes, shown = labels.codes[rows], labels.colours[rows]
    parts = []
    for domain in np.flatnonzero(sizes):
        share = 100 * sizes[domain] / sizes.sum()
        code = int(shown[codes == domain][0])
        parts.append(
            tag("i", style=f"width:{share:.2f}%;background:{colour(code)}", title=labels.names[domain])
        )
    return tag("div", *parts, class_="bar", aria_hidden="true")
