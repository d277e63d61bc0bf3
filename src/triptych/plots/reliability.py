"""Whether a confidence means what it says: how often guesses of each confidence are right."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.protocols import Vector
from triptych.plots.palette import INK, PALETTE
from triptych.plots.scores import GREY

Z: Final = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution


def reliability(ax: Axes, table: pd.DataFrame, *, noun: str = "guesses", ink: str = INK) -> None:
    """Draw accuracy against confidence, and how many guesses there are of each confidence.

    Parameters
    ----------
    ax
        Where to draw.
    table
        From `triptych.maths.reliability.reliability`; where no accuracy is known only bars are drawn.
    noun
        What is counted.
    ink
        Colour of text and axes.
    """
    n = table["n"].to_numpy(float)
    low, high = table["low"].to_numpy(float), table["high"].to_numpy(float)
    share = n / max(n.sum(), 1.0)
    ax.bar(
        low, share, high - low, align="edge", color=GREY, alpha=0.45, linewidth=0, label=f"share of {noun}"
    )
    right = table["accuracy"].to_numpy(float)
    known = np.isfinite(right)
    if known.any():
        ax.plot([0, 1], [0, 1], color=ink, linewidth=1.1, label="as it says")
        said = table["confidence"].to_numpy(float)[known]
        ends = wilson(right[known], n[known])
        ax.vlines(said, *ends, color=PALETTE[0], linewidth=2, zorder=3)
        ax.plot(
            said, right[known], "o", color=PALETTE[0], markersize=5.5, label="share that is right", zorder=4
        )
    _axes(ax, ink)


def wilson(share: Vector, n: Vector) -> tuple[Vector, Vector]:
    """Ends of the 95 % interval of shares (Wilson 1927, doi:10.1080/01621459.1927.10502953), each shape (k,).

    (p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n).
    """
    middle = share + Z**2 / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    below = 1 + Z**2 / n
    return (middle - half) / below, (middle + half) / below


def _axes(ax: Axes, ink: str) -> None:
    ax.set_xlim(-0.03, 1.03)  # the zeros of both axes stand apart
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("confidence", color=ink, fontsize=9)
    ax.tick_params(colors=ink, labelsize=9, length=0)
    ax.grid(color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, labelcolor=ink, fontsize=9,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
