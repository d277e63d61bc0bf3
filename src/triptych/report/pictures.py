"""The pictures of a run: sections, joint space and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.protocols import Codes, Matrix
from triptych.core.slots import SPATIAL, SPATIAL_UM, Slot
from triptych.plots.embedding import embedding, project
from triptych.plots.legend import legend
from triptych.plots.scores import order, scores
from triptych.plots.slide import slide
from triptych.plots.spatial import spacing, spatial
from triptych.plots.window import Window
from triptych.report.canvas import Canvas, slug
from triptych.report.directions import Controls
from triptych.report.facts import Facts, Labels
from triptych.report.markup import Html
from triptych.report.thumbnails import Thumbnail

SIDE = 4.0  # inches of a panel's longer side
VISIBLE = 0.012  # of the longer side: seven pixels of a panel


@dataclass(frozen=True, eq=False)
class Section:
    """Where the observations of one section lie, in the units of its slide.

    Parameters
    ----------
    xy
        Places, shape (n, 2).
    size
        Diameter of an observation, in the units of ``xy``.
    um_per_unit
        None where the study has no physical scale.
    enlarged
        Whether observations would be too small to be seen and are drawn as large as their spacing allows.
    """

    xy: Matrix
    size: float
    um_per_unit: float | None
    enlarged: bool = False

    @property
    def window(self) -> Window:
        """What is shown of it."""
        return Window.around(self.xy, pad=self.size / 2)

    @property
    def inches(self) -> tuple[float, float]:
        """Size of its panels: the longer side is `SIDE`, unless the section is a narrow strip."""
        window = self.window
        side = max(window.width, window.height)
        return max(1.4, SIDE * window.width / side), max(1.0, SIDE * window.height / side)


def section(facts: Facts, sample: int) -> Section | None:
    """The places of a section; None when the table has none.

    Full-resolution pixels are preferred, for the slide to lie under them.
    """
    name, rows = facts.samples.names[sample], facts.rows(sample)
    px, um = (facts.table.obsm.get(Slot.parse(slot).key) for slot in (SPATIAL, SPATIAL_UM))
    if px is None and um is None:
        return None
    xy = np.asarray(um if px is None else px, dtype=np.float64)[rows, :2]
    scale = 1.0 if px is None else _mpp(facts, name, xy, None if um is None else np.asarray(um)[rows])
    spot_um = facts.about(name, "spot_um")
    true = float(spot_um) / scale if spot_um and scale else 0.0
    visible = true >= VISIBLE * max(np.ptp(xy, axis=0))
    return Section(
        xy, true if visible else max(true, 0.9 * spacing(xy)), scale, enlarged=true > 0 and not visible
    )


def _mpp(facts: Facts, name: str, xy: Matrix, um: Matrix | None) -> float | None:
    """µm per pixel: as it was read, else the ratio of both kinds of coordinates."""
    known = facts.about(name, "mpp")
    if known:
        return float(known)
    if um is None or len(xy) < 2 or not np.ptp(xy):
        return None
    return float(np.ptp(um, axis=0).max() / np.ptp(xy, axis=0).max())


def tissue(canvas: Canvas, place: Section, image: Thumbnail, name: str, stem: str) -> Html:
    """The slide of a section."""

    def draw(ax: Axes, _ink: str) -> None:
        slide(ax, image.pixels, image.extent, um_per_unit=place.um_per_unit, window=place.window)

    return canvas.photograph(f"{stem}-slide", draw, place.inches, f"Stained tissue of section {name}")


def labelled(canvas: Canvas, place: Section, codes: Codes, labels: Labels, names: tuple[str, str]) -> Html:
    """Labels of a section on its places; ``names`` are the section's and the file's stem."""

    def draw(ax: Axes, ink: str) -> None:
        spatial(
            ax, place.xy, codes, size=place.size, um_per_unit=place.um_per_unit, window=place.window, ink=ink
        )

    alt = f"Map of {labels.slot} in section {names[0]}: {len(codes)} observations"
    return canvas.panel(f"{names[1]}-{slug(labels.slot)}", draw, place.inches, alt)


def spaces(canvas: Canvas, facts: Facts, seed: int) -> dict[str, Html]:
    """The joint space, once for every way to colour it."""
    projection = project(facts.table.obsm[facts.view], np.random.default_rng(seed))
    pictures = {}
    sections = [facts.samples] if len(facts.samples.names) > 1 else []
    for labels in [*facts.guesses[-1:], *sections, *([facts.truth] if facts.truth else [])]:

        def draw(ax: Axes, ink: str, colours: Codes = labels.colours) -> None:
            embedding(ax, projection, colours, ink=ink)

        alt = f"First two principal components of {facts.view}, coloured by {labels.slot}"
        pictures[labels.slot] = canvas.chart(f"space-{slug(labels.slot)}", draw, (4.0, 3.6), alt)
    return pictures


def score_chart(canvas: Canvas, metric: str, table: pd.DataFrame, controls: Controls) -> Html:
    """One metric over the sections."""

    def draw(ax: Axes, ink: str) -> None:
        scores(ax, table, controls=controls, ink=ink)

    rows = len(order(table["sample"]))
    height = 0.95 + rows * (0.3 if rows <= 16 else 0.2)
    return canvas.chart(
        f"scores-{slug(metric)}", draw, (4.2, height), f"{metric} of each section, with intervals"
    )


def legends(canvas: Canvas, facts: Facts) -> None:
    """Files with the names and colours of each set of labels; the page has them as text."""
    for labels in [*facts.guesses, *facts.types, *([facts.truth] if facts.truth else [])]:

        def draw(ax: Axes, ink: str, names: dict[str, int] = labels.legend) -> None:
            legend(ax, names, ink=ink)

        if labels.legend:
            canvas.aside(f"legend-{slug(labels.slot)}", draw, (3.2, 0.3 + 0.22 * len(labels.legend)))
