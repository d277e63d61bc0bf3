"""What a model that was applied found: nuclei of each section and type, and how they look."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image, UnidentifiedImageError

from triptych.pipeline.record import RunRecord
from triptych.report.canvas import Canvas, slug
from triptych.report.markup import Html, join, table, tag
from triptych.report.overlays import FOLDER, file_name
from triptych.report.tables import beside
from triptych.report.wording import figure

TABLE: Final = "nuclei-found"
PICTURE: Final = ".nuclei.png"
MOST: Final = 24  # sections that the page lists
DRAWN: Final = 6  # of them with pictures
NOTE: Final = (
    "The model was applied as it stands. The folder slides holds all nuclei: polygons for QuPath (.geojson), "
    "a table with their types and probabilities (.csv), and shapes for SpatialData (.zarr) where that is "
    "installed."
)


def found_block(canvas: Canvas, record: RunRecord) -> Html:
    """A table and pictures; empty where no model was applied."""
    frame = beside(record, TABLE)
    if frame is None or not len(frame):
        return Html("")
    names, stems = [str(name) for name in frame["sample"]], _stems(frame)
    drawn = (_picture(canvas, name, stem) for name, stem in zip(names[:DRAWN], stems, strict=False))
    return join([
        tag("h3", "Nuclei found"), tag("p", NOTE, class_="note"), _table(frame), *drawn,
    ])  # fmt: skip


def _stems(frame: pd.DataFrame) -> list[str]:
    """What the files of each section are called."""
    taken: set[str] = set()
    return [file_name(str(name), taken) for name in frame["sample"]]


def _table(frame: pd.DataFrame) -> Html:
    kinds = [str(name) for name in frame if name not in {"sample", "nuclei"}]
    lines = []
    for row in frame.head(MOST).to_dict("records"):
        total = int(row["nuclei"])
        shares = [_cell(int(row[kind]), total) for kind in kinds]
        lines.append([str(row["sample"]), figure(total), *shares])
    more = f". The first {MOST} of {len(frame)} are listed; tables/{TABLE}.csv holds all"
    caption = f"Nuclei of each section{' and type' if kinds else ''}{more if len(frame) > MOST else ''}"
    return tag("div", table(caption, ["Section", "Nuclei", *kinds], lines), class_="score")


def _cell(part: int, total: int) -> Html:
    share = [tag("small", f" {part / total:.1%}")] if total else []
    return join([figure(part), *share])


def _picture(canvas: Canvas, name: str, stem: str) -> Html:
    """The slide and a part of it with outlines, as it lies in the folder; empty where it does not."""
    path = canvas.folder.parent / FOLDER / f"{stem}{PICTURE}"
    pixels = _pixels(path) if path.is_file() else None
    if pixels is None:
        return Html("")

    def draw(ax: Axes, _ink: str) -> None:
        ax.imshow(pixels, interpolation="antialiased")
        ax.set_axis_off()

    height, width = pixels.shape[:2]
    alt = f"Nuclei found in {name}: the whole picture, and a part of it with their outlines"
    drawn = canvas.photograph(f"nuclei-{slug(stem)}", draw, (9.0, 9.0 * height / width), alt)
    return tag("figure", tag("figcaption", name), drawn, class_="broad")


def _pixels(path: Path) -> np.ndarray | None:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError):
        return None
