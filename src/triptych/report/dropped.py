"""What was left out as background although its cell types are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from triptych.core.errors import TriptychError
from triptych.core.protocols import Indices, Matrix, Pixels, Vector
from triptych.core.slots import SPATIAL, Slot
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.plots.patches import grid, patches
from triptych.report.canvas import Canvas, slug
from triptych.report.estimates import Estimate, predictions, target_of, targets
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, tag
from triptych.report.wording import count, figure
from triptych.tiles.slide import STORE, open_slide
from triptych.tiles.windows import Windows, stream

MOST: Final = 24  # patches of a section
COLUMNS: Final = 12
SECTIONS: Final = 12
OUT_PX: Final = 72
WINDOW_UM: Final = 112.0  # where no step says what was looked at
NOTE: Final = (
    "These observations were taken for background, so they were neither learned from nor predicted, nor do "
    "they count in any score, although their cell types are known. Look whether there is tissue in them."
)


def dropped_block(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """A gallery for each section; empty where nothing was dropped."""
    held = targets(facts, record)
    for one in predictions(facts, record):
        known = target_of(one, held)
        background = one.step.reads.get("background", "") if one.step else ""
        if known is None or not background:
            continue
        lost = known.known & ~one.known
        if lost.any():
            return join([
                tag("h3", "Dropped as background"), tag("p", NOTE, class_="note"),
                *_galleries(canvas, facts, record, one, lost),
            ])  # fmt: skip
    return Html("")


def _galleries(canvas: Canvas, facts: Facts, record: RunRecord, one: Estimate, lost: Any) -> list[Html]:
    slot = one.step.reads["background"] if one.step else ""
    brightness = _brightness(facts, slot)
    maker = next((step for step in reversed(record.steps) if step.to == slot), None)
    blocks, drawn = [], 0
    for sample, name in enumerate(facts.samples.names):
        rows = np.flatnonzero(facts.rows(sample) & lost)
        if not len(rows):
            continue
        said = f"{name}: {figure(len(rows))} of {count(int(facts.rows(sample).sum()), 'observation')} dropped"
        if drawn == SECTIONS:
            blocks.append(tag("p", f"{said}; not drawn.", class_="note"))
            continue
        drawn += 1
        shown = rows[np.argsort(brightness[rows], kind="stable")][:MOST]
        stem = f"dropped-{sample + 1:02d}-{slug(name)}"
        blocks.append(_gallery(canvas, said, stem, _cut(facts, name, shown, maker), len(rows)))
    return blocks


def _gallery(canvas: Canvas, said: str, stem: str, pixels: Pixels | str, total: int) -> Html:
    """The pictures, or why there are none."""
    if isinstance(pixels, str):
        return tag("p", f"{said}. {pixels}", class_="note")

    def draw(ax: Axes, _ink: str) -> None:
        patches(ax, pixels, columns=COLUMNS)

    across, down = grid(len(pixels), COLUMNS)
    picture = canvas.photograph(stem, draw, (0.62 * across, 0.62 * down), f"Patches dropped: {said}")
    which = (
        f"the {len(pixels)} darkest are shown" if total > len(pixels) else "all are shown, the darkest first"
    )
    return tag("figure", tag("figcaption", said, tag("small", f" {which}")), picture, class_="broad")


def _brightness(facts: Facts, slot: str) -> Vector:
    """Mean colour of each observation, shape (n,), by which background was told; zeros where it is gone."""
    view = facts.table.obsm.get(Slot.parse(slot).key)
    return np.zeros(facts.table.n_obs) if view is None else np.asarray(view, np.float64).mean(axis=1)


def _cut(facts: Facts, name: str, rows: Indices, maker: StepRecord | None) -> Pixels | str:
    """Patches of some observations, shape (k, h, w, 3), in their order; or why they cannot be cut."""
    places = facts.table.obsm.get(Slot.parse(SPATIAL).key)
    path = str(facts.about(name, "image") or "")
    if places is None or not path or not Path(path.partition(STORE)[0]).exists():
        return "There is no image of it."
    scale = float(facts.about(name, "image_scale") or 1.0)
    side = _side_px(maker, facts.about(name, "mpp"), scale)
    if not side:
        return "Its image has no scale."
    centres: Matrix = np.asarray(places, np.float64)[rows, :2] * scale
    out = np.empty((len(rows), OUT_PX, OUT_PX, 3), np.uint8)
    try:
        for indices, pixels in stream(open_slide(path), Windows(centres, side, OUT_PX), MOST):
            out[indices] = pixels
    except (TriptychError, OSError) as error:
        return f"Its image cannot be shown: {error}"
    return out


def _side_px(maker: StepRecord | None, mpp: Any, scale: float) -> float:
    """Side of the tissue that was looked at, in pixels of the image; 0 where it is not known."""
    params = maker.params if maker else {}
    own = float(params.get("window_px", 0) or 0)
    if own:
        return own
    return float(params.get("window_um", WINDOW_UM)) / (float(mpp) / scale) if mpp else 0.0
