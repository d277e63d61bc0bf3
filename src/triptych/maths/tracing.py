"""A picture of labels → the outer outline of each nucleus, along the edges of its pixels."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import Instances, Outlines
from triptych.core.protocols import Indices

# of the top, right, bottom and left edge of a pixel, clockwise: which way it runs, and from which corner
STEPS: Final = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
STARTS: Final = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])


def traced(instances: Instances) -> Outlines:
    """Outline every nucleus; rings in ascending order of the numbers of nuclei.

    Edges run clockwise on the screen; at a corner where a nucleus touches itself they stay with their pixel,
    so a nucleus whose pixels hang together by edges has one outer ring. Of several parts the largest counts,
    and holes are filled. `triptych.maths.polygons.rasterised` gives nuclei 1 … n without holes back.

    Parameters
    ----------
    instances
        Shape (h, w), 0 = background.

    Returns
    -------
    Rings in pixels of the picture; ``row`` is the number of the nucleus less 1.
    """
    padded = np.pad(instances, 1)
    edge = _edges(padded)
    onward = np.searchsorted(edge, _next(padded, edge))
    lead, left = _ranked(onward)
    order = np.lexsort((-left, lead))
    edge, lead = edge[order], lead[order]
    pixel, side = edge // 4, edge % 4
    begins = np.diff(lead, prepend=-1) != 0
    corner = begins | (np.diff(side, prepend=-1) != 0)
    xy = np.column_stack([pixel % padded.shape[1], pixel // padded.shape[1]]) - 1 + STARTS[side]
    first = np.append(np.flatnonzero(begins[corner]), corner.sum())
    return _outer(xy[corner], first, padded.reshape(-1)[pixel[begins]])


def _edges(padded: Instances) -> Indices:
    """Edges between a nucleus and something else, ascending: 4 times the pixel and which side of it."""
    inner = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    borders = np.zeros((*padded.shape, 4), bool)
    for side, neighbour in enumerate(beside):
        borders[1:-1, 1:-1, side] = (inner > 0) & (inner != neighbour)
    return np.flatnonzero(borders)


def _next(padded: Instances, edge: Indices) -> Indices:
    """The edge after each: round the pixel, straight on, or round the pixel that juts out."""
    pixel, side = edge // 4, edge % 4
    label, flat = padded.reshape(-1), STEPS @ np.array([1, padded.shape[1]])
    ahead = pixel + flat[side]
    beyond = ahead + flat[side - 1]
    number = label[pixel]
    turn = label[ahead] != number
    straight = ~turn & (label[beyond] != number)
    to = np.where(turn, pixel, np.where(straight, ahead, beyond))
    after: Indices = 4 * to + np.where(turn, side + 1, np.where(straight, side, side - 1)) % 4
    return after


def _ranked(onward: Indices) -> tuple[Indices, Indices]:
    """For each member of some cycles: the lowest of its cycle, and how many follow until that comes again.

    Both by doubling the jump in each round, so that a cycle of n members takes log2 n rounds.
    """
    lead, jump = np.minimum(np.arange(len(onward)), onward), onward
    while True:
        jump = jump[jump]
        lower = np.minimum(lead, lead[jump])
        if np.array_equal(lower, lead):
            break
        lead = lower
    last = onward == lead
    left, jump = (~last).astype(np.int64), np.where(last, np.arange(len(onward)), onward)
    while not np.array_equal(jump[jump], jump):
        left, jump = left + left[jump], jump[jump]
    return lead, left


def _outer(xy: Indices, first: Indices, label: NDArray[np.int32]) -> Outlines:
    """Of the rings of each nucleus the one with the largest area; holes run the other way round."""
    size = np.diff(first)
    after = np.arange(1, len(xy) + 1)
    after[first[1:] - 1] = first[:-1]
    cross = xy[:, 0] * xy[after, 1] - xy[after, 0] * xy[:, 1]
    area = np.add.reduceat(cross, first[:-1]) if len(size) else np.zeros(0, np.int64)
    order = np.lexsort((-area, label))
    keep = order[np.diff(label[order], prepend=0) != 0]
    lengths = size[keep]
    starts = np.cumsum(lengths) - lengths
    at = np.repeat(first[keep] - starts, lengths) + np.arange(lengths.sum())
    ends = np.append(starts, lengths.sum()).astype(np.int64)
    return Outlines(xy[at].astype(np.float32), ends, label[keep].astype(np.int64) - 1)
