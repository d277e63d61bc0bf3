"""The chapter of outlines that were moved onto the stained picture: by how much, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.errors import TriptychError
from triptych.core.nuclei import Outlines
from triptych.core.protocols import Indices, Pixels
from triptych.core.slots import REGISTERED, SPATIAL, Slot
from triptych.maths.polygons import Rings
from triptych.pipeline.record import RunRecord
from triptych.plots.registration import arrows, outlines_on
from triptych.plots.window import Window
from triptych.readers.outlines import outlines_of
from triptych.readers.sections import about_of
from triptych.report.canvas import Canvas, slug
from triptych.report.facts import Facts
from triptych.report.markup import Html, join, table, tag
from triptych.report.wording import DASH, figure, number
from triptych.tiles.slide import STORE, open_slide

TITLE: Final = "Outlines on the stain"
TABLE: Final = "registration"
NUMBERS: Final = ("x_px", "y_px", "dx_px", "dy_px", "scale", "score_before", "score", "nuclei")
MOST: Final = 24  # sections that the page lists
DRAWN: Final = 6  # of them with pictures
CROP_UM: Final = 40.0
NOTE: Final = (
    "Outlines come from another picture than the stain, so they may lie beside the nuclei. Regions of a "
    "section say by how much; the shift that they agree upon, with scale and rotation where they show it, "
    "was applied. A score is in standard deviations of what chance gives; a section that scores too little "
    "is refused, and nothing is learned from it."
)


class Crop(NamedTuple):
    """A part of the picture, with the outlines that touch it before and after."""

    pixels: Pixels
    extent: Window
    before: Outlines
    after: Outlines


def registrations(record: RunRecord) -> pd.DataFrame | None:
    """What was found in each region, numbers as floats; None when nothing was registered."""
    frame = record.tables.get(TABLE)
    if frame is None or not {"sample", "used", "refused", *NUMBERS} <= set(frame):
        return None
    frame = frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce") for name in NUMBERS})
    used = frame["used"].astype(str).str.lower().isin(["true", "1", "1.0"])  # a table that was read back
    return frame.assign(used=used, refused=frame["refused"].fillna("").astype(str))


def registered_section(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """A table of the sections, and for some of them arrows and a crop."""
    frame = registrations(record)
    if frame is None or not len(frame):
        return tag("p", "No region of any section was compared with its picture.", class_="note")
    frame = frame.assign(sample=frame["sample"].astype(str))
    names = list(dict.fromkeys(frame["sample"]))
    rows = {name: frame[frame["sample"] == name] for name in names}
    head = ["Section", "Moved", "Scale", "Score before", "Score after", "Regions", "Verdict"]
    lines = [_line(facts, name, rows[name]) for name in names[:MOST]]
    caption = "Shift of each section: median over its regions that agree; scores are medians over all regions"
    notes = [tag("p", NOTE, class_="note")]
    if len(names) > MOST:
        text = f"The first {MOST} of {len(names)} sections are listed; tables/{TABLE}.csv holds all."
        notes.append(tag("p", text, class_="note"))
    listed = tag("div", table(caption, head, lines), class_="score")
    drawn = [_pictures(canvas, facts, name, rows[name], at) for at, name in enumerate(names[:DRAWN])]
    return join([*notes, listed, *drawn])


def _line(facts: Facts, name: str, rows: pd.DataFrame) -> list[str | Html]:
    mpp, used = facts.about(name, "mpp"), rows[rows["used"]]
    refused = str(rows["refused"].iloc[0])
    moved = DASH
    if len(used) and not refused:
        unit, per = ("µm", float(mpp)) if mpp else ("px", 1.0)
        x, y = (number(per * float(used[axis].median()), 1) for axis in ("dx_px", "dy_px"))
        moved = f"{x}, {y} {unit}"
    return [
        name, moved, DASH if refused else number(float(rows["scale"].median()), 4),
        number(float(rows["score_before"].median()), 1), number(float(rows["score"].median()), 1),
        f"{figure(len(used))} of {figure(len(rows))}",
        tag("span", f"refused: {refused}", class_="far") if refused else "used",
    ]  # fmt: skip


def _pictures(canvas: Canvas, facts: Facts, name: str, rows: pd.DataFrame, at: int) -> Html:
    """Arrows over the section, and its middle region with outlines before and after."""
    stem = f"registration-{at + 1:02d}-{slug(name)}"
    mpp = facts.about(name, "mpp")
    xy, moved = rows[["x_px", "y_px"]].to_numpy(float), rows[["dx_px", "dy_px"]].to_numpy(float)
    score = rows["score"].where(rows["used"]).to_numpy(float)

    def draw(ax: Axes, ink: str) -> None:
        arrows(ax, xy, moved, score, um_per_unit=float(mpp) if mpp else None, ink=ink)

    parts = [
        tag("figcaption", name, tag("small", " regions that did not count are grey")),
        canvas.chart(stem, draw, (5.4, 4.2), f"Shift found in each region of {name}"),
    ]  # fmt: skip
    crop = _crop(facts, name, rows)
    photograph = _photograph(canvas, f"{stem}-crop", crop)
    return join([tag("h3", name), tag("figure", *parts, class_="broad narrow"), photograph])


def _photograph(canvas: Canvas, stem: str, crop: Crop | str) -> Html:
    """The crop, or why there is none."""
    if isinstance(crop, str):
        return tag("p", crop, class_="note")

    def draw(ax: Axes, _ink: str) -> None:
        outlines_on(ax, crop.pixels, crop.extent, crop.before, crop.after)

    said = "Outlines before (dashed, orange) and after the correction (green)"
    picture = canvas.photograph(stem, draw, (4.2, 4.2), said)
    return tag("figure", tag("figcaption", said), picture, class_="broad narrow")


def _crop(facts: Facts, name: str, rows: pd.DataFrame) -> Crop | str:
    """The middle of the region whose score is the median of those that count."""
    key, mpp = Slot.parse(REGISTERED).key, facts.about(name, "mpp")
    used = rows[rows["used"]].sort_values("score", kind="stable")
    if not len(used) or key not in facts.table.obsm or not mpp:
        return "No crop is shown: no region agrees on a shift."
    path = str(facts.about(name, "image") or "")
    if not path or not Path(path.partition(STORE)[0]).exists():
        return "There is no image of it."
    middle = used.iloc[len(used) // 2]
    half = CROP_UM / float(mpp) / 2
    x, y = float(middle["x_px"]), float(middle["y_px"])
    extent = Window(x - half, y - half, x + half, y + half)
    try:
        before, after = _outlined(facts, name, extent)
        scale = float(facts.about(name, "image_scale") or 1.0)
        pixels, seen = _seen(path, extent, scale)
    except (TriptychError, OSError) as error:
        return f"Its crop cannot be shown: {error}"
    return Crop(pixels, seen, before, after)


def _seen(path: str, extent: Window, scale: float) -> tuple[Pixels, Window]:
    """Pixels of a window, and where their outer edges lie."""
    x0, y0 = (int(np.floor(scale * edge)) for edge in (extent.left, extent.top))
    side = max(1, round(scale * extent.width))
    pixels = open_slide(path).read(x0, y0, side, side)
    return pixels, Window(x0 / scale, y0 / scale, (x0 + side) / scale, (y0 + side) / scale)


def _outlined(facts: Facts, name: str, extent: Window) -> tuple[Outlines, Outlines]:
    """The outlines of observations that touch a window, before and after."""
    rows = np.flatnonzero(facts.rows(facts.samples.names.index(name)))
    obs = facts.table.obs.iloc[rows]
    ids = obs["cell_id"] if "cell_id" in obs else obs.index.to_series()
    outlines = outlines_of(about_of(facts.meta, name), ids.astype(str).to_numpy())
    was, now = (np.asarray(facts.table.obsm[Slot.parse(s).key], float)[rows] for s in (SPATIAL, REGISTERED))
    shift = np.nan_to_num(now - was)
    near = Rings.of(outlines).touching(extent.left, extent.top, extent.right, extent.bottom)
    near = near[outlines.row[near] >= 0]
    before = _some(outlines, near)
    by = np.repeat(shift[before.row], np.diff(before.first), axis=0)
    return before, Outlines((before.px + by).astype(np.float32), before.first, before.row)


def _some(outlines: Outlines, rings: Indices) -> Outlines:
    """Rings by their numbers."""
    parts = [outlines.px[outlines.first[ring] : outlines.first[ring + 1]] for ring in rings]
    first = np.append(0, np.cumsum([len(part) for part in parts], dtype=np.int64))
    px = np.concatenate(parts) if parts else np.empty((0, 2), np.float32)
    return Outlines(px, first, outlines.row[rings])
