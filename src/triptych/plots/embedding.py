"""A joint space in two dimensions: its own, or its first two principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from triptych.core.protocols import Codes, Indices, Matrix, Vector
from triptych.plots.palette import INK, paint

LIMIT = 20_000


@dataclass(frozen=True, eq=False)
class Projection:
    """Some rows of a space in two dimensions.

    Parameters
    ----------
    rows
        Which observations, shape (m,), in the order in which they are drawn.
    xy
        Where they are drawn, shape (m, 2).
    explained
        Share of the variance along each principal component, shape (2,); None where the axes are none.
    """

    rows: Indices
    xy: Matrix
    explained: Vector | None


def project(z: Matrix, rng: np.random.Generator, *, limit: int = LIMIT) -> Projection:
    """Principal components of the centred space, from at most ``limit`` rows drawn at random.

    The singular value decomposition is of the covariance (d × d), which has the same axes as that of
    the rows and does not grow with them. Rows with values that are not finite are left out.

    Parameters
    ----------
    z
        Joint space, shape (n, d).
    rng
        Draws the rows, and the order in which they are drawn so that no category covers the others.
    limit
        Number of rows, at most.
    """
    rows = rng.permutation(len(z))[:limit]
    some = np.asarray(z[rows], dtype=np.float64)
    finite = np.isfinite(some).all(axis=1)
    rows, some = rows[finite], some[finite]
    if len(some) < 2:
        return Projection(rows, np.zeros((len(rows), 2)), np.zeros(2))
    some -= some.mean(axis=0)
    axes, spread, _ = np.linalg.svd(some.T @ some)
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    xy, share = np.zeros((len(some), 2)), np.zeros(2)
    found = min(2, some.shape[1])  # a space may have one dimension
    xy[:, :found] = some @ axes[:, :found]
    share[:found] = spread[:found] / (spread.sum() or 1.0)
    return Projection(rows, xy, share)


def as_it_is(z: Matrix, rng: np.random.Generator, *, limit: int = LIMIT) -> Projection:
    """A space of two dimensions, at most ``limit`` rows of it.

    Parameters
    ----------
    z
        Shape (n, 2); rows with values that are not finite are left out.
    rng
        Draws the rows, and the order in which they are drawn so that no category covers the others.
    limit
        Number of rows, at most.
    """
    rows = rng.permutation(len(z))[:limit]
    rows = rows[np.isfinite(z[rows]).all(axis=1)]
    return Projection(rows, np.asarray(z[rows], np.float64), None)


def embedding(ax: Axes, projection: Projection, labels: Codes, *, ink: str = INK) -> None:
    """Draw a projection, coloured by category.

    Parameters
    ----------
    ax
        Where to draw.
    projection
        Of the space.
    labels
        Codes of all observations of the space, shape (n,); -1 = unlabelled.
    ink
        Colour of the axes.
    """
    area = float(np.clip(30_000 / max(len(projection.rows), 1), 1.5, 28))
    order = np.argsort(labels[projection.rows] >= 0, kind="stable")  # the unlabelled lie underneath
    x, y = projection.xy[order].T
    colours = paint(labels[projection.rows][order])
    ax.scatter(x, y, s=area, c=colours, linewidths=0, rasterized=True)
    if projection.explained is None:
        ax.set_aspect("equal", "datalim")
        ax.set_axis_off()
        return
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(ink)
    ax.set_xticks([])
    ax.set_yticks([])
    for name, share in zip("xy", projection.explained, strict=True):
        component = 1 if name == "x" else 2
        ax.set(**{f"{name}label": f"PC{component} ({share:.0%} of variance)"})
    ax.xaxis.label.set(color=ink, fontsize=9)
    ax.yaxis.label.set(color=ink, fontsize=9)
