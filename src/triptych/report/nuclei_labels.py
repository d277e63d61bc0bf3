"""What a segmenter learned from: how many labelled tiles there are, of what, and how some of them look."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.errors import TriptychError
from triptych.core.protocols import Indices
from triptych.pipeline.labelling import FOLDER
from triptych.pipeline.record import RunRecord
from triptych.plots.nuclei import labelled_tiles
from triptych.plots.palette import UNLABELLED
from triptych.plots.patches import grid
from triptych.report.canvas import Canvas, slug
from triptych.report.facts import Facts, shades
from triptych.report.markup import Html, join, table, tag
from triptych.report.results import dot, swatch
from triptych.report.tables import beside
from triptych.report.wording import DASH, figure
from triptych.tiles.label_store import LabelStore

TABLE: Final = "labels"
COUNT: Final = "n_"  # begins the columns of classes
MOST: Final = 24  # organs of the table
TILES: Final = 8  # of the picture
COLUMNS: Final = 4
BLACK: Final = "#000000"
WORDS: Final = {"outlines": "from outlines and transcripts", "known": "from labels drawn by hand"}


def labels_block(canvas: Canvas, facts: Facts, record: RunRecord) -> Html:
    """A table by organ and some tiles; empty where no tiles were made."""
    frame = beside(record, TABLE)
    if frame is None or not len(frame):
        return Html("")
    pictures = (_picture(canvas, facts, name, Path(path)) for name, path in record.stores.items())
    return join([tag("h3", "Labelled tiles"), _table(frame), *pictures])


def _table(frame: pd.DataFrame) -> Html:
    """A row for each organ, and one for all."""
    counted = by_organ(frame)
    classes = [str(name) for name in counted if str(name).startswith(COUNT)]
    lines = []
    rows: list[tuple[Any, dict[Any, float]]] = [("all", counted.sum().to_dict())]
    for organ, row in [*rows, *list(counted.head(MOST).to_dict("index").items())]:
        untyped = row["nuclei"] - sum(row[name] for name in classes)
        kinds = [figure(int(row[name])) for name in classes]
        ignored = f"{row['ignored'] / row['tiles']:.1%}" if row["tiles"] else DASH
        totals = [figure(int(row[name])) for name in ("samples", "donors", "tiles", "nuclei")]
        lines.append([str(organ), *totals, *kinds, figure(int(untyped)), ignored])
    names = [name.removeprefix(COUNT) for name in classes]
    head = ["Organ", "Sections", "Donors", "Tiles", "Nuclei", *names, "no type", "Ignored"]
    caption = "Tiles and their nuclei; ignored is the share of pixels of which nothing is known"
    if len(counted) > MOST:
        caption += f". The {MOST} organs with most tiles are listed; tables/{TABLE}.csv holds all"
    return tag("div", table(caption, head, lines), class_="score")


def by_organ(frame: pd.DataFrame) -> pd.DataFrame:
    """Samples, donors, tiles, nuclei, those of each class, ignored tiles: by organ, most tiles first."""
    counted = ["tiles", "nuclei", *(str(name) for name in frame if str(name).startswith(COUNT))]
    frame = frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce").fillna(0) for name in counted})
    share = frame["share_ignored"] if "share_ignored" in frame else pd.Series(0.0, frame.index)
    frame["ignored"] = pd.to_numeric(share, errors="coerce").fillna(0) * frame["tiles"]
    grouped = frame.groupby(frame["organ"].astype(str), sort=True)
    found = grouped[[*counted, "ignored"]].sum()
    found["samples"], found["donors"] = grouped["sample"].nunique(), grouped["donor"].nunique()
    return found.sort_values("tiles", ascending=False, kind="stable")


def _picture(canvas: Canvas, facts: Facts, name: str, path: Path) -> Html:
    """Some tiles of a store with their labels, or why there are none."""
    own = canvas.folder.parent / FOLDER / name  # of the run; the other may have left the cache
    place = own if own.is_dir() else path
    if not place.is_dir():
        return Html("")
    try:
        store = LabelStore.open(place)
        chosen = some(store.about)
        tiles = store.take(chosen)
    except (TriptychError, OSError) as error:
        return tag("p", f"The tiles cannot be shown: {error}", class_="note")
    if not len(chosen):
        return Html("")
    colours = shades(facts.truth, facts.types, store.classes)
    codes = [colours[kind] for kind in store.classes]

    def draw(ax: Axes, _ink: str) -> None:
        labelled_tiles(ax, tiles, codes, columns=COLUMNS)

    across, down = grid(len(chosen), COLUMNS)
    said = f"Tiles {WORDS.get(name, name)}: {', '.join(dict.fromkeys(_organs(store, chosen)))}"
    drawn = canvas.photograph(f"labels-{slug(name)}", draw, (2.4 * across, 2.4 * down), said)
    side = (
        f" {store.tile_px * store.mpp:g} µm wide; of each organ one of a usual number of nuclei, then others"
    )
    return tag(
        "figure", tag("figcaption", said, tag("small", side)), drawn, _key(colours, store), class_="broad"
    )


def _organs(store: LabelStore, chosen: Indices) -> list[str]:
    return [str(name) for name in store.about["organ"].to_numpy()[chosen]]


def _key(colours: dict[str, int], store: LabelStore) -> Html:
    """What the colours of outlines mean."""
    items = [tag("li", swatch(colours[name]), name) for name in store.classes]
    rest = [tag("li", dot(BLACK), "no type"), tag("li", dot(UNLABELLED), "striped: ignored")]
    return tag("ul", *items, *rest, class_="key")


def some(about: pd.DataFrame) -> Indices:
    """Rows of at most `TILES` tiles with nuclei: organ by organ in turn, usual numbers of nuclei first."""
    nuclei = about["nuclei"].to_numpy(float)
    kept = np.flatnonzero(nuclei > 0)
    organ = about["organ"].astype(str).to_numpy()[kept]
    turn = np.empty(len(kept), np.int64)
    for name in np.unique(organ):
        mine = np.flatnonzero(organ == name)
        unlike = np.abs(nuclei[kept[mine]] - np.median(nuclei[kept[mine]]))
        turn[mine[np.argsort(unlike, kind="stable")]] = np.arange(len(mine))
    order = np.lexsort((kept, organ, turn))[:TILES]
    return np.asarray(kept[order], np.int64)
