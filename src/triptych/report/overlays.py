"""Predicted cell types of slides without molecules, for other programs: polygons, a table, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from anndata import AnnData
from matplotlib.figure import Figure

from triptych.core.slots import Slot
from triptych.pipeline.geojson import side_px, write_abundance, write_geojson
from triptych.pipeline.record import RunRecord
from triptych.plots.overlay import Ground, dominant, overlay
from triptych.plots.palette import PALETTE
from triptych.plots.window import Window
from triptych.report.facts import Facts, gather
from triptych.report.thumbnails import UnreadableImageError, thumbnail

FOLDER: Final = "slides"
MAPS: Final = 5  # types that get a picture of their own
INCHES: Final = 5.0
DPI: Final = 110


def write_slides(table: AnnData, record: RunRecord, folder: Path) -> None:
    """Write ``slides/`` where the table holds patches of slides, and nothing else.

    ``abundance.csv`` has a row for each patch; each slide has a ``.geojson`` of squares for QuPath and a
    ``.png`` with the prevailing type and the types of which there is most.

    Parameters
    ----------
    table
        With what was predicted.
    record
        Says which slot was predicted last.
    folder
        Of the run.
    """
    predicted = [step.to for step in record.steps if step.do == "predict"]
    if table.n_vars or not predicted:
        return
    place, slot = folder / FOLDER, predicted[-1]
    place.mkdir(exist_ok=True)
    types = [str(name) for name in table.obsm[Slot.parse(slot).key]]
    colours = {name: rgb(PALETTE[i % len(PALETTE)]) for i, name in enumerate(types)}
    write_abundance(place / "abundance.csv", table, slot)
    facts = gather(table, record)
    taken: set[str] = set()
    for sample in dict.fromkeys(table.obs["sample"].astype(str)):
        name = file_name(sample, taken)
        write_geojson(place / f"{name}.geojson", table, slot, sample=sample, colours=colours)
        _picture(facts, sample, slot, place / f"{name}.png")


def file_name(sample: str, taken: set[str]) -> str:
    """A name that leads out of no folder, and that no other slide has; it is then taken."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in sample).lstrip(".") or "slide"
    while name.casefold() in taken:
        name += "_"
    taken.add(name.casefold())
    return name


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour's name, 0 to 255."""
    red, green, blue = (round(255 * part) for part in mpl.colors.to_rgb(colour))
    return red, green, blue


def _picture(facts: Facts, sample: str, slot: str, path: Path) -> None:
    """The prevailing type, then the types of which there is most, over the slide."""
    table = facts.table
    rows = np.flatnonzero(table.obs["sample"].astype(str) == sample)
    frame = table.obsm[Slot.parse(slot).key].iloc[rows]
    values, xy = frame.to_numpy(float), np.asarray(table.obsm["spatial"], float)[rows]
    mpp = facts.about(sample, "mpp")
    side = side_px(table, rows, xy)
    window = Window.around(xy, pad=side / 2)
    try:
        ground = thumbnail(facts, sample, window)
    except UnreadableImageError:
        return
    if ground is None:
        return
    slide = Ground(ground.pixels, ground.extent, mpp and float(mpp), window)
    most = np.argsort(-np.nan_to_num(values).mean(axis=0), kind="stable")[:MAPS]
    panels = 1 + len(most)
    figure = Figure(figsize=(INCHES * min(panels, 3), INCHES * -(-panels // 3)), layout="constrained")
    axes = figure.subplots(-(-panels // 3), min(panels, 3), squeeze=False).ravel()
    codes = dominant(values)
    overlay(axes[0], slide, xy, codes, side=side)
    names = ", ".join(str(frame.columns[code]) for code in np.unique(codes[codes >= 0]))
    axes[0].set_title(f"prevailing type ({names})", fontsize=8, wrap=True)
    for ax, column in zip(axes[1:], most, strict=False):
        overlay(ax, slide, xy, values[:, column], side=side, label=str(frame.columns[column]))
        ax.set_title(str(frame.columns[column]), fontsize=9)
    for ax in axes[panels:]:
        ax.axis("off")
    figure.savefig(path, dpi=DPI)
