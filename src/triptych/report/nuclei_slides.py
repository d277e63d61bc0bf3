"""Nuclei of the slides that a model is applied to: polygons, a table, shapes and pictures, in ``slides/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from triptych.core.errors import DataError
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Codes, Indices
from triptych.pipeline.chain import Chain
from triptych.pipeline.label_sections import picture_at
from triptych.pipeline.nuclei_files import Batch
from triptych.pipeline.record import RunRecord
from triptych.pipeline.slide_nuclei import Slide, find_nuclei, last_segmenter, write_counts
from triptych.pipeline.study import Study
from triptych.plots.names import as_text
from triptych.plots.nuclei import rings
from triptych.plots.palette import PALETTE, colour
from triptych.plots.slide import slide
from triptych.plots.window import Window, show
from triptych.report.facts import Facts, gather
from triptych.report.nuclei_found import PICTURE, TABLE
from triptych.report.overlays import FOLDER, file_name, rgb
from triptych.report.thumbnails import UnreadableImageError, thumbnail
from triptych.report.wording import figure as whole

CLOSE_UM: Final = 128.0  # side of the part that is shown with outlines
CLOSE_PX: Final = 1000  # the same where no µm per pixel are known, and the most pixels that are drawn of it
SIZE: Final = (12.0, 6.4)  # inches
DPI: Final = 110


def write_nuclei(chain: Chain, table: AnnData, record: RunRecord, folder: Path) -> None:
    """Find and write the nuclei of every section that has a picture; counts by patch go into the table.

    Parameters
    ----------
    chain
        Of which the last segment step is used.
    table
        The sections.
    record
        Gets a table with the nuclei of each section.
    folder
        Of the run; ``slides/`` is made in it.

    Raises
    ------
    DataError
        When the chain has no segment step.
    """
    link, study = last_segmenter(chain), Study(table)
    if link is None:
        raise DataError("The model finds no nuclei.", "Apply the model of a recipe with a segment step.")
    place, classes = folder / FOLDER, link.model.classes
    place.mkdir(exist_ok=True)
    colours = {name: rgb(PALETTE[i % len(PALETTE)]) for i, name in enumerate(classes)}
    facts, taken = gather(table, record), set[str]()
    slides = []
    for sample in study.samples:
        if not facts.about(sample, "image"):
            continue
        stem = place / file_name(sample, taken)
        slides.append(find_nuclei(link, study, sample, stem, colours=colours))
        draw_nuclei(facts, slides[-1], classes, stem.with_name(f"{stem.name}{PICTURE}"))
    if not table.n_vars:
        write_counts(study, slides, link.model)
    record.tables[TABLE] = summary(slides, classes)


def summary(slides: list[Slide], classes: tuple[str, ...]) -> pd.DataFrame:
    """How many nuclei there are in each section, of each type: columns sample, nuclei, and the types."""
    rows = []
    for one in slides:
        kinds = kinds_of(one.batch)
        counts = np.bincount(kinds[kinds >= 0], minlength=len(classes))
        rows.append([one.sample, len(one.batch), *counts.tolist()])
    return pd.DataFrame(rows, columns=["sample", "nuclei", *classes])


def kinds_of(batch: Batch) -> Codes:
    """The likeliest type of each nucleus, shape (n,); -1 where none are told."""
    if not batch.probabilities.shape[1] or not len(batch):
        return np.full(len(batch), -1)
    return np.asarray(batch.probabilities.argmax(axis=1), np.int64)


def draw_nuclei(facts: Facts, found: Slide, classes: tuple[str, ...], path: Path) -> None:
    """Draw the slide, and the part with most nuclei, with their outlines in the colours of their types."""
    sample, batch = found
    scale = float(facts.about(sample, "image_scale") or 1.0)
    image = str(facts.about(sample, "image"))
    height, width = picture_at(image, 1 / scale).shape_px
    mpp = facts.about(sample, "mpp")
    side = min(CLOSE_UM / float(mpp) if mpp else CLOSE_PX, max(width, height))
    square = densest(batch, (width, height), side)
    drawing = Figure(figsize=SIZE, layout="constrained")
    left, right = drawing.subplots(1, 2)
    _overview(left, facts, sample, Window(0, 0, width, height), square)
    few = f"{whole(len(batch))} {'nucleus' if len(batch) == 1 else 'nuclei'}"
    as_text([left.set_title(f"{sample}: {few}", fontsize=9)])
    _close_up(right, batch, classes, square, (image, scale))
    drawing.savefig(path, dpi=DPI)


def _overview(ax: Axes, facts: Facts, sample: str, extent: Window, square: Window) -> None:
    """The slide at a small scale, and where the square lies."""
    mpp = facts.about(sample, "mpp")
    try:
        picture = thumbnail(facts, sample, extent)
    except UnreadableImageError:
        picture = None
    if picture is not None:
        slide(ax, picture.pixels, picture.extent, um_per_unit=float(mpp) if mpp else None, window=extent)
    x, y = (square.left, square.right), (square.top, square.bottom)
    ax.plot([x[0], x[1], x[1], x[0], x[0]], [y[0], y[0], y[1], y[1], y[0]], color="black", linewidth=1)
    show(ax, extent)


def _close_up(
    ax: Axes, batch: Batch, classes: tuple[str, ...], square: Window, picture: tuple[str, float]
) -> None:
    """The square at no more than `CLOSE_PX`, with the outlines that touch it."""
    image, scale = picture
    small = min(1.0, CLOSE_PX / square.width)
    x0, y0, side = (round(small * length) for length in (square.left, square.top, square.width))
    pixels = picture_at(image, small / scale).read(x0, y0, max(1, side), max(1, side))
    corners = (x0 / small, (x0 + side) / small, (y0 + side) / small, y0 / small)
    ax.imshow(pixels, extent=corners, interpolation="antialiased")
    rows = touching(batch.outlines, square)
    ax.add_collection(rings(_some(batch.outlines, rows), _shown(batch)[rows], width=1.2), autolim=False)
    show(ax, square)
    ax.set_title("the square", fontsize=9)
    if classes:
        handles = [Line2D([], [], color=colour(code), label=name) for code, name in enumerate(classes)]
        as_text(ax.legend(handles=handles, fontsize=8, loc="lower right").get_texts())


def _shown(batch: Batch) -> Codes:
    """Colour of each nucleus; of those without a type the first."""
    return np.maximum(kinds_of(batch), 0)


def densest(batch: Batch, size: tuple[int, int], side: float) -> Window:
    """The square of a grid with most nuclei, moved inside a picture of some width and height."""
    x, y = 0.0, 0.0
    if len(batch):
        cell = np.floor(batch.outlines.px[batch.outlines.first[:-1]] / side).astype(np.int64)
        cells, count = np.unique(cell, axis=0, return_counts=True)
        x, y = (side * cells[count.argmax()]).tolist()
    left, top = (max(0.0, min(at, length - side)) for at, length in zip((x, y), size, strict=True))
    return Window(left, top, left + side, top + side)


def touching(outlines: Outlines, square: Window) -> Indices:
    """Rings whose boxes meet a square."""
    if len(outlines.first) < 2:
        return np.empty(0, np.int64)
    first = outlines.first[:-1]
    low, high = (of.reduceat(outlines.px, first, axis=0) for of in (np.minimum, np.maximum))
    inside = (high > [square.left, square.top]) & (low < [square.right, square.bottom])
    return np.flatnonzero(inside.all(axis=1))


def _some(outlines: Outlines, rows: Indices) -> Outlines:
    """Rings by their numbers."""
    parts: list[Any] = [outlines.px[outlines.first[row] : outlines.first[row + 1]] for row in rows]
    first = np.append(0, np.cumsum([len(part) for part in parts], dtype=np.int64))
    px = np.concatenate(parts) if parts else np.empty((0, 2), np.float32)
    return Outlines(px, first, outlines.row[rows])
