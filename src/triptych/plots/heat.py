"""A table of values around zero, or of shares, as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from triptych.core.protocols import Matrix
from triptych.plots.palette import INK, UNLABELLED
from triptych.plots.scores import GREY, LONGEST


def heat(
    ax: Axes, values: Matrix, *, rows: Sequence[str], columns: Sequence[str], label: str = "", ink: str = INK
) -> None:
    """Draw a cell for each value, white where it is zero and as strong below as above.

    Parameters
    ----------
    ax
        Where to draw.
    values
        Shape (r, c); what is not finite is grey.
    rows, columns
        Their names.
    label
        What the values are, with their unit.
    ink
        Colour of text and axes.
    """
    finite = np.abs(values[np.isfinite(values)])
    most = float(finite.max(initial=0.0)) or 1.0
    cmap = mpl.colormaps["RdBu_r"].with_extremes(bad=UNLABELLED)
    drawn = ax.imshow(np.ma.masked_invalid(values), cmap=cmap, vmin=-most, vmax=most, aspect="auto")
    name_axes(ax, rows, columns, ink)
    bar(ax, drawn, label, ink)


def shares(
    ax: Axes, values: Matrix, *, rows: Sequence[str], columns: Sequence[str], label: str = "", ink: str = INK
) -> None:
    """Draw a cell for each share, white for none and dark for all.

    Parameters
    ----------
    ax
        Where to draw.
    values
        From 0 to 1, shape (r, c).
    rows, columns
        Their names.
    label
        What the shares are of.
    ink
        Colour of text and axes.
    """
    drawn = ax.imshow(values, cmap=mpl.colormaps["Blues"], vmin=0.0, vmax=1.0, aspect="auto")
    name_axes(ax, rows, columns, ink)
    bar(ax, drawn, label, ink)


def name_axes(ax: Axes, rows: Sequence[str], columns: Sequence[str], ink: str) -> None:
    """Write the names of rows and columns, long ones shortened, and draw no frame."""
    ax.set_yticks(range(len(rows)), labels=[shortened(name) for name in rows])
    ax.set_xticks(range(len(columns)), labels=[shortened(name) for name in columns], rotation=90)
    for text in (*ax.get_yticklabels(), *ax.get_xticklabels()):
        text.set_parse_math(False)  # a dollar sign in a name is a dollar sign
    ax.tick_params(colors=ink, labelsize=8, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def shortened(name: str) -> str:
    """The name, or its beginning."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def bar(ax: Axes, drawn: Any, label: str, ink: str) -> None:
    """Say beside the axes what the colours mean."""
    scale = ax.figure.colorbar(drawn, ax=ax, fraction=0.03, pad=0.02, aspect=18)
    scale.outline.set_edgecolor(GREY)
    scale.ax.tick_params(colors=ink, labelsize=8, length=2)
    scale.set_label(label, color=ink, fontsize=8)
