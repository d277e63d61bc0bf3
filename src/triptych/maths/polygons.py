"""Outlines of nuclei: as pictures of labels and back, which cross themselves, areas, centroids, polygons."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triptych.core.extras import need
from triptych.core.nuclei import Instances, Outlines
from triptych.core.protocols import Indices, Matrix, Vector
from triptych.maths.rings import Rings
from triptych.maths.tracing import traced

__all__ = ["Rings", "areas_px", "centroids_px", "crossing", "rasterised", "traced", "wkb"]

Mask: TypeAlias = NDArray[np.bool_]
AT_ONCE: Final = 2_000_000  # pairs of edges


def rasterised(
    outlines: Outlines,
    x0: int,
    y0: int,
    width: int,
    height: int,
    *,
    scale: float = 1.0,
    shift_px: Matrix | None = None,
) -> Instances:
    """The rings that touch a window as a picture of labels; for many windows use `Rings`.

    Parameters
    ----------
    outlines
        Rings in full-resolution pixels.
    x0, y0, width, height
        The window, in pixels of the picture to make.
    scale
        Such pixels per full-resolution pixel.
    shift_px
        What is added to the vertices of each ring before, shape (m, 2), full-resolution pixels.

    Returns
    -------
    Shape (height, width): 1 + the ring in which the centre of a pixel lies, the earliest if there are
    several, and 0 outside of all.
    """
    return Rings.of(outlines, shift_px).rasterised(x0, y0, width, height, scale=scale)


def crossing(outlines: Outlines) -> Mask:
    """Which rings cross themselves, shape (m,); to touch oneself is not to cross."""
    size = np.diff(outlines.first)
    found = np.zeros(len(size), bool)
    for vertices in np.unique(size[size > 3]):  # rings of as many vertices make one array
        rings = np.flatnonzero(size == vertices)
        for part in np.array_split(rings, 1 + len(rings) * int(vertices) ** 2 // AT_ONCE):
            at = outlines.first[part][:, None] + np.arange(vertices)
            found[part] = _crosses(np.asarray(outlines.px, np.float64)[at])
    return found


def areas_px(outlines: Outlines) -> Vector:
    """Area of each ring in square pixels by the shoelace formula, shape (m,)."""
    area: Vector = np.abs(_moments(outlines)[0])
    return area


def centroids_px(outlines: Outlines) -> Matrix:
    """Centroid of each ring, shape (m, 2); of a ring without area the mean of its vertices.

    With z_i = x_i y_{i+1} - x_{i+1} y_i the signed area is A = ½ Σ z_i and the centroid is
    1/(6A) Σ (p_i + p_{i+1}) z_i.
    """
    area, moment, start = _moments(outlines)
    flat = np.abs(area) < 1e-9
    size = np.maximum(np.diff(outlines.first), 1)
    mean = _sums(np.asarray(outlines.px, np.float64) - np.repeat(start, size, axis=0), outlines.first)
    centre = np.where(flat[:, None], mean / size[:, None], moment / np.where(flat, 1.0, 6 * area)[:, None])
    moved: Matrix = start + centre
    return moved


def wkb(outlines: Outlines) -> NDArray[np.object_]:
    """Each ring as a polygon in well-known binary, bytes, shape (m,).

    Raises
    ------
    MissingExtraError
        When there is no shapely.
    """
    shapely = need("shapely", "cells")
    ring = np.repeat(np.arange(len(outlines.first) - 1), np.diff(outlines.first))
    lines = shapely.linearrings(np.asarray(outlines.px, np.float64), indices=ring)
    written: NDArray[np.object_] = shapely.to_wkb(shapely.polygons(lines))
    return written


def _moments(outlines: Outlines) -> tuple[Vector, Matrix, Matrix]:
    """Signed area and six times the first moment of each ring about its first vertex, and that vertex."""
    xy, first = np.asarray(outlines.px, np.float64), np.asarray(outlines.first)
    size = np.diff(first)
    start = xy[first[:-1]]
    shifted = xy - np.repeat(start, size, axis=0)  # far from the origin the products would lose digits
    onward = shifted[_onward(first)]
    cross = shifted[:, 0] * onward[:, 1] - onward[:, 0] * shifted[:, 1]
    return _sums(cross[:, None], first)[:, 0] / 2, _sums((shifted + onward) * cross[:, None], first), start


def _sums(values: Matrix, first: Indices) -> Matrix:
    added: Matrix = np.add.reduceat(values, first[:-1], axis=0) if len(first) > 1 else np.zeros((0, 2))
    return added


def _onward(first: Indices) -> Indices:
    """The vertex after each, shape (v,)."""
    after = np.arange(1, int(first[-1]) + 1)
    after[first[1:] - 1] = first[:-1]
    return after


def _crosses(ring: NDArray[np.float64]) -> Mask:
    """Whether rings of k vertices each, shape (r, k, 2), have two edges that cross inside of both."""
    ring = ring - ring[:, :1]
    x, y = ring[..., 0], ring[..., 1]
    dx, dy = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    # side[e, v]: on which side of the line through the edge e the vertex v lies; 0 for its own ends
    side = dx[:, :, None] * (y[:, None] - y[:, :, None]) - dy[:, :, None] * (x[:, None] - x[:, :, None])
    sign = np.sign(side).astype(np.int8)
    apart = sign * np.roll(sign, -1, axis=2) < 0  # [e, f]: the edge f has its ends on either side of e
    both: Mask = np.any(apart & apart.transpose(0, 2, 1), axis=(1, 2))
    return both
