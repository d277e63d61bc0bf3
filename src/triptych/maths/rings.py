"""Rings that are found by where they lie: those that touch a window, or hold a point.

A ring is filled by the even-odd rule: a point is inside when an odd number of edges cross the horizontal line
through it at or left of it. An edge takes part from its upper end to just above its lower one, so that rings
that share an edge share no point.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import Instances, Outlines
from triptych.core.protocols import Codes, Indices, Matrix, Vector

Mask: TypeAlias = NDArray[np.bool_]
LARGE: Final = 99  # percentile of the extents of rings, as wide as a cell of the index is
ENTRIES: Final = 16  # of the index for each ring, at most on average
AT_ONCE: Final = 50_000  # pairs of a point and an edge; what stays in the processor is quickest


@dataclass(frozen=True, eq=False)
class Rings:
    """Outlines with an index of the places of their bounding boxes; make one with `of`.

    Parameters
    ----------
    xy
        Vertices in full-resolution pixels, shape (v, 2).
    first
        Where each ring begins, shape (m + 1,).
    boxes
        Left, top, right, bottom of each ring, shape (m, 4).
    side
        Of a square cell of the index.
    cells
        How many there are along x and along y, from the left and top of all boxes.
    start, ring
        The rings whose boxes touch the cell c, cells row by row, are ``ring[start[c]:start[c + 1]]``.
    """

    xy: NDArray[np.float64]
    first: Indices
    boxes: NDArray[np.float64]
    side: float
    cells: tuple[int, int]
    start: Indices
    ring: Indices

    @classmethod
    def of(cls, outlines: Outlines, shift_px: Matrix | None = None) -> Rings:
        """Make the index once, for many windows or points.

        Parameters
        ----------
        outlines
            Rings of one section.
        shift_px
            What is added to the vertices of each ring, shape (m, 2).
        """
        xy, size = np.asarray(outlines.px, np.float64), np.diff(outlines.first)
        if shift_px is not None:
            xy = xy + np.repeat(np.asarray(shift_px, np.float64), size, axis=0)
        boxes = _boxes(xy, outlines.first)
        side, cells = _grid(boxes)
        corner = boxes[:, :2].min(axis=0, initial=np.inf)
        low, span = _spans(boxes, corner, side, cells)
        ring, place = _expanded(span[:, 0] * span[:, 1])
        column, row = low[ring, 0] + place % span[ring, 0], low[ring, 1] + place // span[ring, 0]
        cell = row * cells[0] + column
        order = np.argsort(cell, kind="stable")
        start = np.searchsorted(cell[order], np.arange(cells[0] * cells[1] + 1))
        return cls(xy, np.asarray(outlines.first), boxes, side, cells, start, ring[order])

    @property
    def corner(self) -> NDArray[np.float64]:
        """Left and top of all boxes."""
        found: NDArray[np.float64] = self.boxes[:, :2].min(axis=0, initial=np.inf)
        return found

    def touching(self, x0: float, y0: float, x1: float, y1: float) -> Indices:
        """Rings whose bounding box touches a window of full-resolution pixels, ascending."""
        window = np.array([[x0, y0, x1, y1]], float)
        if not len(self.boxes):
            return np.empty(0, np.int64)
        low, span = _spans(window, self.corner, self.side, self.cells)
        rows = (low[0, 1] + np.arange(span[0, 1])) * self.cells[0] + low[0, 0]
        begin, end = self.start[rows], self.start[rows + span[0, 0]]
        row, place = _expanded(end - begin)
        rings = np.unique(self.ring[begin[row] + place])
        left, top, right, bottom = self.boxes[rings].T
        near: Indices = rings[(left <= x1) & (right >= x0) & (top <= y1) & (bottom >= y0)]
        return near

    def rasterised(self, x0: int, y0: int, width: int, height: int, *, scale: float = 1.0) -> Instances:
        """The rings as a picture of labels, see `triptych.maths.polygons.rasterised`."""
        out = np.zeros((height, width), np.int32)
        rings = self.touching(x0 / scale, y0 / scale, (x0 + width) / scale, (y0 + height) / scale)
        size = self.first[rings + 1] - self.first[rings]
        which, place = _expanded(size)
        here = self.first[rings][which] + place
        onward = self.first[rings][which] + (place + 1) % size[which]
        origin = np.array([x0, y0], float)
        a, b = (self.xy[at] * scale - origin for at in (here, onward))
        which, row, x = _crossings(which, a, b, height)
        # the line enters the ring at every other crossing and leaves it at the next; centres are at i + 0.5
        column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
        enter, leave = column[0::2], column[1::2]
        span, place = _expanded(leave - enter)
        pixel = row[0::2][span] * width + enter[span] + place
        # of values given to one pixel numpy keeps the last: the earliest ring comes last
        out.reshape(-1)[pixel[::-1]] = (rings[which[0::2][span]] + 1)[::-1]
        return out

    def holding(self, xy: Matrix) -> NDArray[np.int64]:
        """The earliest ring that each point lies in, shape (n,); -1 where there is none."""
        found = np.full(len(xy), len(self.boxes), np.int64)
        point, ring = self._candidates(np.asarray(xy, np.float64))
        size = (self.first[1:] - self.first[:-1])[ring]
        for part in _parts(size):
            inside = self._inside(xy[point[part]], ring[part], size[part])
            np.minimum.at(found, point[part][inside], ring[part][inside])
        return np.where(found == len(self.boxes), -1, found)

    def _candidates(self, xy: NDArray[np.float64]) -> tuple[Indices, Indices]:
        """Points and rings in whose bounding boxes they lie."""
        if not len(self.boxes) or not len(xy):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = np.floor((xy - self.corner) / self.side)
        known = np.flatnonzero(np.all((at >= 0) & (at < self.cells), axis=1))
        cell = (at[known, 1] * self.cells[0] + at[known, 0]).astype(np.int64)
        which, place = _expanded(self.start[cell + 1] - self.start[cell])
        point, ring = known[which], self.ring[self.start[cell][which] + place]
        box, xy = self.boxes[ring], xy[point]
        near = np.all((xy >= box[:, :2]) & (xy <= box[:, 2:]), axis=1)
        return point[near], ring[near]

    def _inside(self, xy: Matrix, ring: Indices, size: Indices) -> Mask:
        """Whether each point lies in its ring."""
        which, place = _expanded(size)
        here = np.repeat(self.first[ring], size) + place
        low = self.xy[:, 1][here] <= np.repeat(xy[:, 1], size)
        last = np.cumsum(size) - 1
        after = np.append(low[1:], False)
        after[last] = low[last - size + 1]
        crosses = np.flatnonzero(low != after)
        which, here, place = which[crosses], here[crosses], place[crosses]
        onward = np.where(place + 1 == size[which], here - place, here + 1)
        left = _at(self.xy[here], self.xy[onward], xy[which, 1]) <= xy[which, 0]
        odd: Mask = np.bincount(which[left], minlength=len(xy)) % 2 == 1
        return odd


def _boxes(xy: NDArray[np.float64], first: Indices) -> NDArray[np.float64]:
    if len(first) < 2:
        return np.empty((0, 4))
    return np.hstack([np.minimum.reduceat(xy, first[:-1]), np.maximum.reduceat(xy, first[:-1])])


def _grid(boxes: NDArray[np.float64]) -> tuple[float, tuple[int, int]]:
    """Side of the cells of an index and how many there are along x and y."""
    if not len(boxes):
        return 1.0, (0, 0)
    extent = boxes[:, 2:] - boxes[:, :2]
    corner, far = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max(float(np.percentile(extent.max(axis=1), LARGE)), 1.0)
    while True:
        columns, rows = (int(n) for n in np.floor((far - corner) / side) + 1)
        entries = np.prod(np.floor(extent / side) + 2, axis=1).sum()
        if max(entries, columns * rows) <= ENTRIES * len(boxes) + 1024:
            return side, (columns, rows)
        side *= 2


def _spans(boxes: Any, corner: Any, side: float, cells: tuple[int, int]) -> tuple[Indices, Indices]:
    """First cell that each box touches, along x and y, and how many it touches."""
    last = np.array(cells) - 1
    low = np.clip(np.floor((boxes[:, :2] - corner) / side), 0, last).astype(np.int64)
    high = np.clip(np.floor((boxes[:, 2:] - corner) / side), 0, last).astype(np.int64)
    return low, high - low + 1


def _expanded(size: Indices) -> tuple[Codes, Codes]:
    """For groups of these sizes: the group of each member and its place in the group."""
    group = np.repeat(np.arange(len(size)), size)
    return group, np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)


def _parts(size: Indices) -> list[slice]:
    """Pieces of a list of pairs that have about `AT_ONCE` edges together."""
    ends = np.cumsum(size)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(1, total // AT_ONCE + 1) * AT_ONCE)
    edges = [0, *cuts.tolist(), len(size)]
    return [slice(a, b) for a, b in pairwise(edges) if a < b]


def _crossings(which: Codes, a: Matrix, b: Matrix, height: int) -> tuple[Codes, Codes, NDArray[np.float64]]:
    """Where edges from a to b cross the middles of the rows of a window: ring, row and x, in that order."""
    top, bottom = np.minimum(a[:, 1], b[:, 1]), np.maximum(a[:, 1], b[:, 1])
    low = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int64)
    high = np.clip(np.ceil(bottom - 0.5), 0, height).astype(np.int64)
    edge, place = _expanded(high - low)
    row = low[edge] + place
    x = _at(a[edge], b[edge], row + 0.5)
    order = np.lexsort((x, row, which[edge]))
    return which[edge][order], row[order], x[order]


def _at(a: Matrix, b: Matrix, y: Vector) -> NDArray[np.float64]:
    """Where an edge is at the height y, the same whichever way the edge runs."""
    up = (a[:, 1] > b[:, 1])[:, None]
    a, b = np.where(up, b, a), np.where(up, a, b)
    share = (y - a[:, 1]) / (b[:, 1] - a[:, 1])
    x: NDArray[np.float64] = a[:, 0] + share * (b[:, 0] - a[:, 0])
    return x
