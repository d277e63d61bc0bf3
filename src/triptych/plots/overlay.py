"""Patches over the stained tissue, coloured by how much of a cell type they hold or by which prevails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix, Pixels, Vector
from triptych.plots.names import TYPE, as_text, shortened
from triptych.plots.palette import INK, paint
from triptych.plots.slide import slide
from triptych.plots.spatial import MANY
from triptych.plots.window import Window

ALPHA = 0.6
TOP = 99.5  # percentile at which the colours end, so that one outlier does not make all others pale


@dataclass(frozen=True, eq=False)
class Ground:
    """What patches are drawn on.

    Parameters
    ----------
    thumbnail
        RGB, shape (h, w, 3).
    extent
        Where its outer edges lie, in the units of the patches.
    um_per_unit
        Micrometres per unit, for the scale bar; None where no scale is known.
    window
        What to show; by default the whole thumbnail.
    """

    thumbnail: Pixels
    extent: Window
    um_per_unit: float | None = 1.0
    window: Window | None = None


def overlay(
    ax: Axes,
    ground: Ground,
    xy: Matrix,
    values: Vector | Codes,
    *,
    side: float,
    alpha: float = ALPHA,
    label: str = "",
) -> PolyCollection:
    """Draw square patches over a slide; return the drawn collection.

    Parameters
    ----------
    ax
        Where to draw.
    ground
        The slide.
    xy
        Centres of the patches, shape (n, 2); y points down.
    values
        Floating-point values (n,) take colours from 0 up, with a colour bar; those that are not finite are
        not drawn. Integer codes (n,), e.g. of `dominant`, take the palette; -1 is not drawn.
    side
        Of a patch, in the units of ``xy``.
    alpha
        Opacity of the patches, from 0 to 1.
    label
        What the values are, beside the colour bar.

    Raises
    ------
    ValueError
        When ``alpha`` or ``side`` is out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be from 0 to 1, got {alpha}")
    if not (np.isfinite(side) and side > 0):
        raise ValueError(f"side must be a positive number, got {side}")
    given: NDArray[Any] = np.asarray(values)
    continuous = np.issubdtype(given.dtype, np.floating)
    shown = np.isfinite(given) if continuous else given >= 0
    slide(ax, ground.thumbnail, ground.extent, um_per_unit=ground.um_per_unit, window=ground.window)
    squares: Any = _squares(xy[shown], side)
    patches = PolyCollection(
        squares, linewidths=0, alpha=alpha, rasterized=len(xy) > MANY,
        **_colours(given[shown], continuous=continuous),
    )  # fmt: skip
    ax.add_collection(patches, autolim=False)
    if continuous:
        _bar(ax, patches, label)
    return patches


def dominant(abundance: Matrix) -> Codes:
    """The type of which each patch holds most.

    Parameters
    ----------
    abundance
        Shape (n, t); rows of NaN are patches of which nothing is known.

    Returns
    -------
    Column of the largest value, shape (n,); -1 where nothing is known.
    """
    known = np.isfinite(abundance)
    largest = np.where(known, abundance, -np.inf).argmax(axis=1)
    return np.where(known.any(axis=1), largest, -1)


def _squares(xy: Matrix, side: float) -> Matrix:
    """Corners, shape (n, 4, 2)."""
    turns = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    squares: Matrix = xy[:, None, :] + turns * side / 2
    return squares


def _colours(values: Any, *, continuous: bool) -> dict[str, Any]:
    if not continuous:
        return {"facecolors": paint(values)}
    top = float(np.percentile(values, TOP)) if len(values) else 1.0
    return {"array": values, "cmap": mpl.colormaps["cividis"], "norm": Normalize(0, top if top > 0 else 1.0)}


def _bar(ax: Axes, patches: PolyCollection, label: str) -> None:
    """A colour bar whose colours are as opaque as those of the patches."""
    figure = ax.get_figure()
    if figure is None:
        return
    bar = figure.colorbar(patches, ax=ax, fraction=0.035, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, colors=INK, length=2)
    bar.set_label(shortened(label, TYPE), color=INK, fontsize=9)
    as_text([bar.ax.yaxis.label])
