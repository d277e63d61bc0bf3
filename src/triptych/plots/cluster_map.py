"""Tables of pairs side by side in the order of one tree, so that they can be compared cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import pdist

from triptych.core.protocols import Indices, Matrix
from triptych.plots.heat import bar, name_axes
from triptych.plots.names import as_text, ends
from triptych.plots.palette import INK, UNLABELLED
from triptych.plots.scores import GREY

SHARE: Final = 0.14  # height of the tree, of that of a map
NARROWEST: Final = 2  # types that a tree needs


def hierarchy(values: Matrix) -> Matrix:
    """The tree of the rows of a table: average linkage of their Euclidean distances.

    Parameters
    ----------
    values
        Shape (t, t); what is not finite counts as 0.

    Returns
    -------
    scipy's linkage matrix, shape (t - 1, 4), its leaves turned so that neighbours are alike.
    """
    finite = np.where(np.isfinite(values), values, 0.0)
    if len(finite) < NARROWEST:
        return np.empty((0, 4))
    return np.asarray(linkage(pdist(finite), "average", optimal_ordering=True))


def leaves(tree: Matrix) -> Indices:
    """Order of the rows along a tree, shape (t,)."""
    return np.asarray(leaves_list(tree)) if len(tree) else np.zeros(1, np.int64)


def cluster_maps(
    ax: Axes, maps: Mapping[str, Matrix], marks: Mapping[str, NDArray[np.bool_]], *, names: Sequence[str],
    tree: Matrix, label: str, ink: str = INK,
) -> None:  # fmt: skip
    """Draw a map for each table, all in one order and on one scale around zero, in place of the axes.

    Parameters
    ----------
    ax
        Of a grid of axes; what lies in its place is drawn on axes of its own.
    maps
        Name → values, shape (t, t); what is not finite is grey. The scale ends at the largest off the
        diagonal.
    marks
        Name → which pairs get a dot, shape (t, t).
    names
        Of the rows and columns, t of them, in the order of the tables.
    tree
        Of `hierarchy`; drawn above the first map, whose it is.
    label
        What the values are.
    ink
        Colour of text and axes.
    """
    ax.set_axis_off()
    order, most = leaves(tree), _most(maps)
    grid: Any = ax.get_subplotspec().subgridspec(1, len(maps))  # type: ignore[union-attr]
    sorted_names, panels, drawn = [names[code] for code in order], [], None
    for column, (name, values) in enumerate(maps.items()):
        panel = ax.figure.add_subplot(grid[0, column])
        drawn = _map(panel, values[np.ix_(order, order)], most)
        top = panel.inset_axes((0.0, 1.01, 1.0, SHARE))  # as wide as the map, however that is laid out
        top.set_axis_off()
        if column == 0:
            _tree(top, tree, len(order))
        as_text([top.set_title(ends(name), color=ink, fontsize=9)])
        name_axes(panel, sorted_names if column == 0 else [""] * len(order), sorted_names, ink)
        row, at = np.nonzero(marks[name][np.ix_(order, order)])
        panel.scatter(at, row, s=min(9.0, 900 / len(order) ** 2), color=INK, linewidths=0, zorder=3)
        panels.append(panel)
    bar(panels[-1], drawn, label, ink)


def _most(maps: Mapping[str, Matrix]) -> float:
    """Where the scale ends: the largest absolute value off the diagonal, which would dwarf all others."""
    found = np.abs(np.stack(list(maps.values())))
    apart = found[:, ~np.eye(found.shape[1], dtype=bool)]
    return float(apart[np.isfinite(apart)].max(initial=0.0)) or 1.0


def _map(panel: Axes, values: Matrix, most: float) -> Any:
    cmap = mpl.colormaps["RdBu_r"].with_extremes(bad=UNLABELLED)
    return panel.imshow(np.ma.masked_invalid(values), cmap=cmap, vmin=-most, vmax=most, aspect="equal")


def _tree(top: Axes, tree: Matrix, count: int) -> None:
    """Draw the branches over the cells that they belong to."""
    if not len(tree):
        return
    found = dendrogram(tree, no_plot=True)
    x, y = (np.array(found[key], np.float64) for key in ("icoord", "dcoord"))
    lines = np.stack([x / 10 - 0.5, y], axis=2)  # scipy puts the leaves at 5, 15, 25, …
    top.add_collection(LineCollection(list(lines), colors=GREY, linewidths=0.9))
    top.set_xlim(-0.5, count - 0.5)
    top.set_ylim(0, 1.03 * float(y.max()) or 1.0)
