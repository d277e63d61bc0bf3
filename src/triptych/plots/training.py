"""What a net has learned to draw, and how its losses fell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from triptych.core.protocols import Pixels, Vector
from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK, PALETTE
from triptych.plots.scores import GREY

GAP: Final = 0.06  # between pictures, of their side


def pairs(ax: Axes, pictures: Pixels, *, ink: str = INK) -> None:
    """Draw inputs above and what was made of each below it, in grey.

    Parameters
    ----------
    ax
        Where to draw.
    pictures
        Grey values, shape (k, 2, h, w): of each of k observations the input and its reconstruction.
    ink
        Colour of text.
    """
    k, _, height, width = pictures.shape
    high = height / width
    for column in range(k):
        for row in range(2):
            left, top = column * (1 + GAP), row * (high + GAP)
            ax.imshow(
                pictures[column, row], cmap="gray", vmin=0, vmax=255, interpolation="antialiased",
                extent=(left, left + 1, top + high, top),
            )  # fmt: skip
    ax.set_xlim(0, k * (1 + GAP) - GAP)
    ax.set_ylim(2 * high + GAP, 0)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([high / 2, 1.5 * high + GAP], labels=["input", "reconstruction"])
    ax.tick_params(colors=ink, labelsize=9, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def losses(ax: Axes, terms: Mapping[str, Vector | NDArray[Any]], *, ink: str = INK) -> None:
    """Draw a line for each term of a loss over the epochs, on a logarithmic scale where all are positive.

    Parameters
    ----------
    ax
        Where to draw.
    terms
        Name → mean of each epoch, 1-D; what is not finite is left out.
    ink
        Colour of text and axes.
    """
    for index, (name, values) in enumerate(terms.items()):
        epochs = np.arange(1, len(values) + 1)
        mark = "o" if len(values) == 1 else ""
        ax.plot(
            epochs, values, color=PALETTE[index % len(PALETTE)], marker=mark, linewidth=1.6, label=ends(name)
        )
    drawn = np.concatenate([np.asarray(values, float) for values in terms.values()] or [np.empty(0)])
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size and drawn.min() > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
    ax.set_xlabel("epoch", color=ink, fontsize=9)
    ax.tick_params(which="both", colors=ink, labelsize=8, length=0)
    ax.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.6)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)
    legend = ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, labelcolor=ink, fontsize=8
    )
    as_text(legend.get_texts())
