"""What nets that see crops have learned to draw, and how their losses fell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from triptych.core.protocols import Pixels
from triptych.pipeline.record import RunRecord
from triptych.plots.training import losses, pairs
from triptych.report.canvas import Canvas, slug
from triptych.report.markup import Html, join, tag

PAIRS: Final = 8  # observations of a picture
NOTE: Final = (
    "Look at what is lost between the rows: detail that is missing below is not in the space either. The "
    "cells are of the fit, so the pictures say what the net could learn and not what it would make of new"
    " tissue; and a sharp picture does not show that the space tells types apart."
)


def reconstruction_section(canvas: Canvas, record: RunRecord) -> Html:
    """One block for each space that a net has learned from crops."""
    drawn, fell = drawings(record)
    blocks = [tag("p", NOTE, class_="note")] if drawn else []
    for slot in dict.fromkeys([*drawn, *fell]):
        blocks.append(tag("h3", slot.partition(":")[2] or slot))
        blocks += [_pictures(canvas, slot, name, some) for name, some in drawn.get(slot, {}).items()]
        if slot in fell:
            blocks.append(_losses(canvas, slot, fell[slot]))
    return join(blocks)


def drawings(record: RunRecord) -> tuple[dict[str, dict[str, Pixels]], dict[str, dict[str, NDArray[Any]]]]:
    """Slot → name → pictures of shape (k, 2, h, w); slot → term → loss of each epoch; none that is empty."""
    drawn = {
        slot: kept
        for slot, some in record.pictures.items()
        if (kept := {name: one for name, one in some.items() if _shown(np.asarray(one))})
    }
    fell = {
        slot: kept
        for slot, some in record.losses.items()
        if (kept := {name: np.asarray(one, float) for name, one in some.items() if _falls(np.asarray(one))})
    }
    return drawn, fell


def _shown(pictures: NDArray[Any]) -> bool:
    return pictures.ndim == 4 and pictures.shape[1] == 2 and pictures.size > 0


def _falls(values: NDArray[Any]) -> bool:
    return values.ndim == 1 and values.size > 0


def _pictures(canvas: Canvas, slot: str, name: str, pictures: Pixels) -> Html:
    shown = np.asarray(pictures)[:PAIRS]
    k, _, height, width = shown.shape
    size = (1.1 + 1.05 * k, 0.3 + 2.15 * height / width)

    def draw(ax: Axes, ink: str) -> None:
        pairs(ax, shown, ink=ink)

    alt = f"{name} of {k} cells, above, and as {slot} reconstructs it, below"
    picture = canvas.chart(f"reconstruction-{slug(slot)}-{slug(name)}", draw, size, alt)
    caption = tag("figcaption", name, tag("small", f" {k} crops of {width} × {height} px"))
    return tag("figure", caption, picture, class_="broad")


def _losses(canvas: Canvas, slot: str, terms: Mapping[str, NDArray[Any]]) -> Html:
    def draw(ax: Axes, ink: str) -> None:
        losses(ax, terms, ink=ink)

    epochs = max(len(values) for values in terms.values())
    picture = canvas.chart(
        f"losses-{slug(slot)}", draw, (5.2, 2.8), f"Losses of {slot} over {epochs} epochs: {', '.join(terms)}"
    )
    caption = tag("figcaption", "Losses", tag("small", " a line that still falls at the end was cut short"))
    return tag("figure", caption, picture, class_="broad narrow")
