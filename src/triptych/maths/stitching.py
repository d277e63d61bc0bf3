"""Nuclei of a region that is too large to look at at once: windows with a halo, and what is kept of each.

The cores of the windows tile the region. A window answers for the nuclei that touch its core, and sees them
with a halo around, so several windows answer for a nucleus at a seam. Of those that share pixels the one
whose bounding box lies farther from the border of its window comes first; another is dropped if the first
covers at least half of it, else it loses what they share. So nothing is counted twice, nothing is cut along
a seam, and the order in which windows come changes nothing.

A nucleus whose radius is below the halo is seen whole by some window. A larger one may come in parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from triptych.core.nuclei import Found
from triptych.maths.window_grid import Box, Window, Windows

Mask = NDArray[np.bool_]
COVERED: Final = 0.5  # share of a nucleus from which on another one covers it


class Part(NamedTuple):
    """Nuclei that are finished; no two parts share a pixel or a nucleus.

    Attributes
    ----------
    x0, y0
        Left and top of ``found`` in the region.
    found
        The nuclei, in the bounding box of all of them.
    """

    x0: int
    y0: int
    found: Found


@dataclass(eq=False)
class _Candidate:
    """A nucleus as one window sees it; ``mask`` is as large as its ``box``."""

    box: Box
    mask: Mask
    probabilities: NDArray[np.float32]
    window: Window
    rank: tuple[int, ...]
    rivals: list[tuple[_Candidate, int]] = field(default_factory=list)  # with the pixels they share
    area: int = 0
    dropped: bool = False


class Stitcher:
    """Puts the nuclei of windows together; holds only those at seams to windows that are still to come.

    Parameters
    ----------
    windows
        Over the region. Each must be added once, in any order; least is held in theirs.
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self._open = np.ones(windows.shape, bool)
        self._waiting: dict[tuple[int, int], list[_Candidate]] = {}

    def add(self, window: Window, found: Found | None) -> Part | None:
        """Take what was found in a window.

        Parameters
        ----------
        window
            One of the windows.
        found
            As large as ``window.read``; None where nothing was looked for.

        Returns
        -------
        The nuclei that this finishes.

        Raises
        ------
        ValueError
            When the window came before, or what was found is of another size.
        """
        if not self._open[window.row, window.column]:
            raise ValueError(f"the window in row {window.row}, column {window.column} came twice")
        self._open[window.row, window.column] = False
        ready = self._taken(window, found) if found is not None else []
        return _part(ready + self._finished(window.read))

    def _taken(self, window: Window, found: Found) -> list[_Candidate]:
        """The nuclei that no other window sees; the others wait."""
        seen = window.read
        if found.instances.shape != (seen.y1 - seen.y0, seen.x1 - seen.x0):
            raise ValueError(f"nuclei of shape {found.instances.shape} in the window {tuple(seen)}")
        alone: list[_Candidate] = []
        shared: list[_Candidate] = []
        for one in self._candidates(window, found):
            rows, columns = self.windows.seeing(one.box)
            single = rows.stop - rows.start == columns.stop - columns.start == 1
            (alone if single else shared).append(one)
        rows, columns = self.windows.seeing(seen)
        for row in range(rows.start, rows.stop):
            for column in range(columns.start, columns.stop):
                _link(shared, self._waiting.get((row, column), []))
        if shared:
            self._waiting[window.row, window.column] = shared
        return alone

    def _candidates(self, window: Window, found: Found) -> Iterator[_Candidate]:
        """Those that the window answers for, without what lies beyond the region."""
        seen, core = window.read, window.core
        instances = found.instances[: self.windows.height - seen.y0, : self.windows.width - seen.x0]
        for row, place in enumerate(ndi.find_objects(instances)):
            if place is None:
                continue
            (y0, y1), (x0, x1) = ((one.start, one.stop) for one in place)
            box = Box(x0 + seen.x0, y0 + seen.y0, x1 + seen.x0, y1 + seen.y0)
            if not box.meets(core):
                continue
            mask = instances[place] == row + 1
            area = int(np.count_nonzero(mask))
            rank = (-self.windows.depth(window, box), -area, box.y0, box.x0, window.row, window.column)
            yield _Candidate(box, mask, found.probabilities[row], window, rank, area=area)

    def _finished(self, seen: Box) -> list[_Candidate]:
        """Those that waited for a window, and now for no other."""
        rows, columns = self.windows.seeing(seen)
        near = [
            one
            for row in range(rows.start, rows.stop)
            for column in range(columns.start, columns.stop)
            for one in self._waiting.get((row, column), [])
            if one.box.meets(seen)
        ]
        visited: set[_Candidate] = set()
        kept: list[_Candidate] = []
        for one in near:
            if one in visited:
                continue
            group = _connected(one)
            visited |= group
            if not any(self._open[self.windows.seeing(member.box)].any() for member in group):
                kept += _resolved(group)
                self._forget(group)
        return kept

    def _forget(self, group: set[_Candidate]) -> None:
        for place in {(one.window.row, one.window.column) for one in group}:
            left = [one for one in self._waiting[place] if one not in group]
            if left:
                self._waiting[place] = left
            else:
                del self._waiting[place]


def painted(parts: Iterable[Part], width: int, height: int) -> Found:
    """All nuclei of a region in one picture.

    Parameters
    ----------
    parts
        Of the region.
    width, height
        Of the region.
    """
    instances = np.zeros((height, width), np.int32)
    probabilities: list[NDArray[np.float32]] = []
    count = 0
    for x0, y0, found in parts:
        tall, wide = found.instances.shape
        below = instances[y0 : y0 + tall, x0 : x0 + wide]
        np.copyto(below, found.instances + np.int32(count), where=found.instances > 0)
        probabilities.append(found.probabilities)
        count += len(found.probabilities)
    return Found(instances, np.concatenate(probabilities) if probabilities else np.zeros((0, 0), np.float32))


def _link(new: list[_Candidate], old: list[_Candidate]) -> None:
    """Note who shares pixels with whom."""
    if not (new and old):
        return
    a, b = (np.array([one.box for one in both]) for both in (new, old))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    for i, j in np.argwhere((low < high).all(axis=-1)).tolist():
        shared = int(np.count_nonzero(_common(new[i], old[j])))
        if shared:
            new[i].rivals.append((old[j], shared))
            old[j].rivals.append((new[i], shared))


def _common(one: _Candidate, other: _Candidate) -> Mask:
    """The pixels that two share, in the rectangle that their boxes share."""
    box = _overlap(one.box, other.box)
    return np.asarray(
        one.mask[box.slices(one.box.x0, one.box.y0)] & other.mask[box.slices(other.box.x0, other.box.y0)]
    )


def _overlap(a: Box, b: Box) -> Box:
    return Box(max(a.x0, b.x0), max(a.y0, b.y0), min(a.x1, b.x1), min(a.y1, b.y1))


def _connected(one: _Candidate) -> set[_Candidate]:
    """All that share pixels with it, or with one that does, and so on."""
    group, border = {one}, [one]
    while border:
        new = {rival for rival, _ in border.pop().rivals} - group
        group |= new
        border.extend(new)
    return group


def _resolved(group: set[_Candidate]) -> list[_Candidate]:
    """Those that remain, without the pixels that another one keeps."""
    order = sorted(group, key=lambda one: one.rank)
    for one in order:
        for rival, shared in one.rivals:
            if not one.dropped and rival.rank > one.rank and shared >= COVERED * rival.area:
                rival.dropped = True
    remaining = [one for one in order if not one.dropped]
    masks = [_trimmed(one) for one in remaining]
    for one, mask in zip(remaining, masks, strict=True):
        one.mask = mask
    for one in order:
        one.rivals.clear()  # else they keep each other in memory
    return [one for one in remaining if np.count_nonzero(one.mask) >= COVERED * one.area]


def _trimmed(one: _Candidate) -> Mask:
    """Its pixels without those of better ones; of what they leave the largest piece."""
    better = [rival for rival, _ in one.rivals if not rival.dropped and rival.rank < one.rank]
    if not better:
        return one.mask
    mask = one.mask.copy()
    for rival in better:
        mask[_overlap(one.box, rival.box).slices(one.box.x0, one.box.y0)] &= ~_common(one, rival)
    pieces, _ = ndi.label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(mask & (pieces == sizes.argmax()))


def _part(nuclei: list[_Candidate]) -> Part | None:
    if not nuclei:
        return None
    boxes = np.array([one.box for one in nuclei])
    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    instances = np.zeros((y1 - y0, x1 - x0), np.int32)
    for number, one in enumerate(nuclei, 1):
        instances[one.box.slices(x0, y0)][one.mask] = number
    return Part(x0, y0, Found(instances, np.stack([one.probabilities for one in nuclei])))
