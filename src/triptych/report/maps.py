"""Maps of spaces: every ``obsm:X_map.*`` of two dimensions as it is, side by side in the same colours."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from triptych.core.protocols import Codes
from triptych.core.slots import Slot
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.plots.embedding import LIMIT, as_it_is, embedding
from triptych.report.canvas import Canvas, slug
from triptych.report.facts import MAP, Facts, Labels, guess
from triptych.report.markup import Html, join, tag
from triptych.report.results import key
from triptych.report.wording import figure

SIZE: Final = (3.4, 3.2)  # inches of a map
MANY: Final = 3  # maps, above which each is drawn in labels of its own alone
CAUTION: Final = (
    "The recipe made these maps, and each is drawn as it is. What lies close together was similar; in a "
    "UMAP, distances between groups and their sizes mean little."
)


def map_steps(facts: Facts, record: RunRecord) -> list[StepRecord]:
    """The steps that wrote a map of two dimensions, in their order, the last one of each slot."""
    written = {step.to: step for step in record.steps if step.to.startswith(f"obsm:{MAP}")}
    shapes = {slot: np.shape(facts.table.obsm.get(Slot.parse(slot).key)) for slot in written}
    return [step for slot, step in written.items() if len(shapes[slot]) == 2 and shapes[slot][1] == 2]


def map_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """One row of maps for each way to colour them: known labels, predicted domains, sections."""
    steps = map_steps(facts, record)
    drawn = (
        f" {figure(LIMIT)} observations of each are drawn, at random." if facts.table.n_obs > LIMIT else ""
    )
    blocks = [tag("p", f"{CAUTION}{drawn}", class_="note")]
    side = "spaces many" if len(steps) > MANY else "spaces"
    several = [facts.samples] if len(facts.samples.names) > 1 else []
    own = _own(facts, record, steps) if len(steps) > MANY else {}
    for labels in [*([facts.truth] if facts.truth else []), *([] if own else facts.guesses), *several]:
        figures = [_figure(canvas, facts, step, labels, record.seed) for step in steps]
        title = "By known label" if labels is facts.truth else f"By {labels.slot}"
        blocks += [tag("h3", title), key(labels), tag("div", *figures, class_=side)]
    if own:
        figures = [
            _figure(canvas, facts, step, own[step.to], record.seed, own=True)
            for step in steps
            if step.to in own
        ]
        note = "Each map in the labels that were found in the same space"
        shown = f"{note}, in the colours of the known labels." if facts.truth else f"{note}."
        blocks += [
            tag("h3", "By the labels of each space"), tag("p", shown, class_="note"),
            tag("div", *figures, class_=side),
        ]  # fmt: skip
    return join(blocks)


def _own(facts: Facts, record: RunRecord, steps: list[StepRecord]) -> dict[str, Labels]:
    """Slot of a map → the last labels that were clustered in the space of the map, and in it alone."""
    found: dict[str, Labels] = {}
    for step in steps:
        spaces = {slot for role, slot in step.reads.items() if role.startswith("views.")}
        written = [
            other.to
            for other in record.steps
            if other.do == "cluster" and Slot.parse(other.to).key in facts.table.obs
            and {slot for slot in other.reads.values() if slot.startswith("obsm:")} == spaces
        ]  # fmt: skip
        if written:
            found[step.to] = guess(facts.table, written[-1], facts.truth, facts.samples, record)
    return found


def _figure(
    canvas: Canvas, facts: Facts, step: StepRecord, labels: Labels, seed: int, *, own: bool = False
) -> Html:
    """One map in one way to colour it."""
    slot = Slot.parse(step.to)
    projection = as_it_is(np.asarray(facts.table.obsm[slot.key]), np.random.default_rng(seed))

    def draw(ax: Axes, ink: str, colours: Codes = labels.colours) -> None:
        embedding(ax, projection, colours, ink=ink)

    stage = slot.key.removeprefix(MAP)
    picture = canvas.chart(
        f"map-{slug(stage)}-{slug(labels.slot)}", draw, SIZE, f"Map {stage} coloured by {labels.slot}"
    )
    told = f" by {labels.slot.removeprefix('obs:')}" if own else f" {_source(step)}"
    return tag("figure", picture, tag("figcaption", stage, tag("small", told)))


def _source(step: StepRecord) -> str:
    """How the map was made, e.g. ``umap of X_fused.concat``."""
    views = [slot.partition(":")[2] for role, slot in step.reads.items() if role.startswith("views.")]
    return f"{step.use} of {', '.join(views)}"
