"""How many observations there are of each kind."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from triptych.core.protocols import Indices
from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK, colour


def histogram(
    ax: Axes, sizes: Indices, *, names: Sequence[str], codes: Sequence[int], ink: str = INK
) -> None:
    """Draw a bar for each kind, the first on top, with its number and its share.

    Parameters
    ----------
    ax
        Where to draw.
    sizes
        Observations of each kind, shape (k,).
    names
        Of the kinds.
    codes
        Colour of each kind; -1 = unlabelled.
    ink
        Colour of text and axes.
    """
    rows, total = range(len(sizes)), max(int(sizes.sum()), 1)
    ax.barh(rows, sizes, 0.72, color=[colour(code) for code in codes])
    for row, size in enumerate(sizes):
        ax.annotate(
            f"{size:,} ({size / total:.1%})".replace(",", "\u2009"), (int(size), row), (4, 0), fontsize=8,
            textcoords="offset points", va="center", color=ink,
        )  # fmt: skip
    ax.set_yticks(rows, labels=[ends(name) for name in names])
    as_text(ax.get_yticklabels())
    ax.set_ylim(len(sizes) - 0.4, -0.6)
    ax.set_xlim(0, 1.18 * max(int(sizes.max(initial=0)), 1))
    ax.set_xticks([])
    ax.tick_params(colors=ink, labelsize=9, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
