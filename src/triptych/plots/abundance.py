"""Maps of cell types: a row for each estimate, a column for each type, one scale of colours a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from triptych.core.protocols import Matrix, Vector
from triptych.plots.names import as_text, ends, shortened
from triptych.plots.palette import INK
from triptych.plots.scores import GREY
from triptych.plots.spatial import spatial
from triptych.plots.window import Window

LONGEST: Final = 24  # letters of the name of an estimate, which stands upright beside its maps


@dataclass(frozen=True, eq=False)
class Where:
    """The places of one section.

    Parameters
    ----------
    xy
        Shape (n, 2); y points down.
    size
        Diameter of an observation in the units of ``xy``.
    window
        What to show.
    um_per_unit
        Micrometres per unit of ``xy``; None where the study has no physical scale.
    """

    xy: Matrix
    size: float
    window: Window
    um_per_unit: float | None = None


def abundance(
    ax: Axes, maps: Mapping[str, Matrix], *, types: Sequence[str], tops: Vector, where: Where, unit: str,
    ink: str = INK,
) -> None:  # fmt: skip
    """Draw maps in place of the axes.

    Parameters
    ----------
    ax
        Of a grid of axes; what lies in its place is drawn on axes of its own.
    maps
        Name of an estimate → its values, shape (n, t); NaN is grey.
    types
        Names of the columns, t of them.
    tops
        Value of each type from which on the colour is the same, shape (t,); it begins at 0.
    where
        The section.
    unit
        Of the values.
    ink
        Colour of text.
    """
    ax.set_axis_off()
    grid: Any = ax.get_subplotspec().subgridspec(len(maps), len(types))  # type: ignore[union-attr]
    for column, name in enumerate(types):
        panels: list[Axes] = [ax.figure.add_subplot(grid[row, column]) for row in range(len(maps))]
        for row, (panel, values) in enumerate(zip(panels, maps.values(), strict=True)):
            first = row == column == 0
            drawn = spatial(
                panel, where.xy, np.asarray(values[:, column], np.float64), size=where.size,
                um_per_unit=where.um_per_unit if first else None, window=where.window, ink=ink,
            )  # fmt: skip
            drawn.set_clim(0, float(tops[column]))
        as_text([panels[0].set_title(shortened(name), color=ink, fontsize=9)])
        _bar(panels, drawn, unit if column == 0 else "", ink)
        if column == 0:
            _rows(panels, list(maps), ink)


def _rows(panels: list[Axes], names: list[str], ink: str) -> None:
    """Write the name of each row before its first map."""
    for panel, name in zip(panels, names, strict=True):
        text = panel.text(
            -0.06, 0.5, ends(name, LONGEST), transform=panel.transAxes, rotation=90, ha="right", va="center",
            color=ink, fontsize=9,
        )  # fmt: skip
        as_text([text])


def _bar(panels: list[Axes], drawn: Any, unit: str, ink: str) -> None:
    """What the colours of a column mean, below it."""
    scale = panels[0].figure.colorbar(
        drawn, ax=panels, location="bottom", fraction=0.04, pad=0.01, aspect=14, shrink=0.8
    )
    scale.outline.set_edgecolor(GREY)
    scale.set_ticks([drawn.norm.vmin, drawn.norm.vmax], labels=["0", f"≥ {drawn.norm.vmax:.2g}"])
    scale.ax.tick_params(colors=ink, labelsize=8, length=2)
    scale.set_label(unit, color=ink, fontsize=8)
