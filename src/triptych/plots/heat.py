"""A table of values around zero, or of shares, as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from triptych.core.protocols import Matrix
from triptych.plots.names import LONGEST, TYPE, as_text, ends, shortened
from triptych.plots.palette import INK, UNLABELLED
from triptych.plots.scores import GREY

DARK: Final = 0.6  # a share from which on its cell is too dark for dark numbers


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
    ax: Axes, values: Matrix, *, rows: Sequence[str], columns: Sequence[str], label: str = "",
    numbers: bool = False, ink: str = INK,
) -> None:  # fmt: skip
    """Draw a cell for each share, white for none and dark for all.

    Parameters
    ----------
    ax
        Where to draw.
    values
        From 0 to 1, shape (r, c); what is not finite is grey.
    rows, columns
        Their names.
    label
        What the shares are of.
    numbers
        Whether to write the share into each cell.
    ink
        Colour of text and axes.
    """
    cmap = mpl.colormaps["Blues"].with_extremes(bad=UNLABELLED)
    drawn = ax.imshow(np.ma.masked_invalid(values), cmap=cmap, vmin=0.0, vmax=1.0, aspect="auto")
    name_axes(ax, rows, columns, ink, longest=TYPE if numbers else LONGEST)
    bar(ax, drawn, label, ink)
    if numbers:
        _numbers(ax, values)
        ax.set_yticks(range(len(rows)), labels=[ends(name) for name in rows])


def _numbers(ax: Axes, values: Matrix) -> None:
    """Write each finite share into its cell; the cells look the same on any paper, and so do the numbers."""
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        share = float(values[row, column])
        text = f"{share:.2f}".removeprefix("0")
        shade = "white" if share >= DARK else INK
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color=shade)


def name_axes(
    ax: Axes, rows: Sequence[str], columns: Sequence[str], ink: str, *, longest: int = LONGEST
) -> None:
    """Write the names of rows and columns, long ones shortened, and draw no frame."""
    ax.set_yticks(range(len(rows)), labels=[shortened(name, longest) for name in rows])
    ax.set_xticks(range(len(columns)), labels=[shortened(name, longest) for name in columns], rotation=90)
    as_text([*ax.get_yticklabels(), *ax.get_xticklabels()])
    ax.tick_params(colors=ink, labelsize=8, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def bar(ax: Axes, drawn: Any, label: str, ink: str) -> None:
    """Say beside the axes what the colours mean."""
    scale = ax.figure.colorbar(drawn, ax=ax, fraction=0.03, pad=0.02, aspect=18)
    scale.outline.set_edgecolor(GREY)
    scale.ax.tick_params(colors=ink, labelsize=8, length=2)
    scale.set_label(label, color=ink, fontsize=8)
