"""Nuclei on their picture: outlines in the colours of their types."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from triptych.core.nuclei import UNKNOWN, Instances, Outlines, Tiles
from triptych.core.protocols import Codes, Pixels
from triptych.maths.tracing import traced
from triptych.plots.palette import colour
from triptych.plots.patches import GAP, grid

UNTYPED: Final = "#000000"  # of a nucleus of which nobody says what it is
FOG: Final = 150.0  # grey of what is ignored
STRIPE_PX: Final = 12  # from one stripe of what is ignored to the next


def rings(outlines: Outlines, codes: Codes, *, width: float = 1.0) -> LineCollection:
    """Closed outlines as lines.

    Parameters
    ----------
    outlines
        Of m nuclei.
    codes
        Colour of each in the palette, shape (m,); -1 = of no type.
    width
        Of the lines, in points.
    """
    first = outlines.first
    closed = [
        np.concatenate([outlines.px[start:end], outlines.px[start : start + 1]])
        for start, end in pairwise(first.tolist())
        if end > start
    ]
    shades = [UNTYPED if code < 0 else colour(int(code)) for code in codes[np.diff(first) > 0]]
    return LineCollection(closed, colors=shades, linewidths=width)


def labelled_tiles(ax: Axes, tiles: Tiles, codes: Sequence[int], *, columns: int) -> None:
    """Draw labelled tiles row by row, what is ignored greyed and striped.

    Parameters
    ----------
    ax
        Where to draw; nothing else should be on it.
    tiles
        Any number of them.
    codes
        Colour of each class in the palette.
    columns
        Tiles of a row.
    """
    for index in range(len(tiles.image)):
        row, column = divmod(index, columns)
        left, top = column * (1 + GAP), row * (1 + GAP)
        pixels = fogged(tiles.image[index], tiles.ignore[index])
        ax.imshow(pixels, extent=(left, left + 1, top + 1, top), interpolation="antialiased")
        found = traced(tiles.instances[index])
        px = found.px / pixels.shape[1] + np.array([left, top])
        kinds = types_of(tiles.instances[index], tiles.types[index])[found.row + 1]
        shown = np.array([-1, *codes])[kinds + 1]
        ax.add_collection(rings(Outlines(px, found.first, found.row), shown), autolim=False)
    width, height = grid(len(tiles.image), columns)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()


def types_of(instances: Instances, types: NDArray[np.uint8]) -> Codes:
    """Class of each number of a nucleus, shape (largest + 1,); -1 where none is known, and of 0."""
    found = np.full(int(instances.max(initial=0)) + 1, -1, np.int64)
    shown = types.astype(np.int64)
    found[instances] = np.where((shown == UNKNOWN) | (shown == 0), -1, shown - 1)
    found[0] = -1
    return found


def fogged(pixels: Pixels, ignore: NDArray[np.bool_]) -> Pixels:
    """A picture of shape (h, w, 3) with a veil and slanting stripes over what is ignored, shape (h, w)."""
    rows, columns = np.indices(ignore.shape)
    veil = np.where((rows + columns) % STRIPE_PX < STRIPE_PX // 3, 0.85, 0.6)[..., None]
    veiled = (1 - veil) * pixels + veil * FOG
    return np.where(ignore[..., None], veiled, pixels).round().astype(np.uint8)
