"""How much of each gene a space explains: genes by falling R²."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from triptych.core.protocols import Vector
from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK, PALETTE
from triptych.plots.scores import GREY

NAMED: Final = 12  # genes that are called by name
LINES: Final = 20  # of text that the height of the axes holds
COLUMN: Final = 0.3  # of the width, where the names begin
LOWEST: Final = -0.2  # values further below are drawn at the edge: a fit may be arbitrarily bad


def explained(
    ax: Axes, r2: Vector, *, deviation: Vector, blocks: Vector, names: Sequence[str],
    significant: NDArray[np.bool_], ink: str = INK,
) -> None:  # fmt: skip
    """Draw a point for each gene with its deviation, and a hollow one for whole blocks held out.

    Parameters
    ----------
    ax
        Where to draw.
    r2
        Mean R² on held-out observations, falling, shape (g,).
    deviation
        Over the splits, shape (g,).
    blocks
        The same as ``r2`` with whole blocks of neighbours held out, shape (g,); NaN where not known.
    names
        Of the genes; the first `NAMED` are written.
    significant
        Which genes a column of the space is associated with, shape (g,); the others are pale.
    ink
        Colour of text and axes.
    """
    rank, shown = np.arange(1, len(r2) + 1), np.maximum(r2, LOWEST)
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    for some, alpha in ((significant, 1.0), (~significant, 0.3)):
        ax.vlines(
            rank[some], np.maximum(r2 - deviation, LOWEST)[some], np.maximum(r2 + deviation, LOWEST)[some],
            color=PALETTE[0], linewidth=1, alpha=alpha / 2, zorder=2,
        )  # fmt: skip
        label = "random splits" if alpha == 1 else "no column associated (padj ≥ 0.05)"
        ax.plot(
            rank[some], shown[some], "o", color=PALETTE[0], markersize=4, markeredgewidth=0, alpha=alpha,
            label=label if some.any() else None, zorder=4,
        )  # fmt: skip
    if np.isfinite(blocks).any():
        ax.plot(
            rank, np.maximum(blocks, LOWEST), "o", color=PALETTE[1], markerfacecolor="none", markersize=4,
            markeredgewidth=0.9, label="whole blocks held out", zorder=3,
        )  # fmt: skip
    top = np.fmax.reduce([*(r2 + deviation)[:NAMED], *blocks, 0.1])  # a gene that varies wildly is cut off
    ax.set_ylim(LOWEST - 0.02, 1.05 * top)
    _axes(ax, len(r2), ink)
    _named(ax, shown, names, ink)


def _named(ax: Axes, r2: Vector, names: Sequence[str], ink: str) -> None:
    """Names of the first genes in a column to the right of their points, from the top down."""
    (low, high), (_, width) = ax.get_ylim(), ax.get_xlim()
    for rank in range(min(NAMED, len(r2))):
        y = high - (high - low) * (rank + 0.5) / LINES
        ax.annotate(
            ends(names[rank]), (rank + 1, float(r2[rank])), (COLUMN * width, y), fontsize=8, color=ink,
            va="center", parse_math=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "alpha": 0.7},
        )  # fmt: skip


def _axes(ax: Axes, count: int, ink: str) -> None:
    ax.set_xlim(0, max(count, 2 * NAMED) + 1)
    ax.set_xlabel(f"{count} genes, by falling R²", color=ink, fontsize=9)
    ax.set_ylabel("R² on held-out observations", color=ink, fontsize=9)
    ax.tick_params(colors=ink, labelsize=8, length=0)
    ax.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)
    drawn = ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, labelcolor=ink, fontsize=8,
        handletextpad=0.2, columnspacing=1.0,
    )  # fmt: skip
    as_text(drawn.get_texts())
