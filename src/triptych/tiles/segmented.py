"""The nuclei of a whole slide, window by window, in memory that does not grow with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial

import numpy as np

from triptych.core.nuclei import Found, Picture, SegmenterModel
from triptych.core.protocols import Pixels
from triptych.maths.stitching import Part, Stitcher
from triptych.maths.window_grid import Box, Window, Windows

DEPTH = 4


def segmented(
    picture: Picture, model: SegmenterModel, windows: Windows | None = None, *,
    wanted: Callable[[Box], bool] | None = None, pool: Executor | None = None, depth: int = DEPTH,
) -> Iterator[Part]:  # fmt: skip
    """Nuclei of a picture, each once.

    Parameters
    ----------
    picture
        At the resolution of the model.
    model
        What finds nuclei; it is given windows whose sides are multiples of ``model.multiple_px``.
    windows
        Over the picture; else those of `windows_for`.
    wanted
        Whether to look for nuclei in the core of a window, e.g. because there is tissue.
    pool
        Where windows are read and looked at, several at once; else here, one after the other. One of
        processes must be able to pickle the picture and the model.
    depth
        Windows that are handed to the pool before they are needed.

    Yields
    ------
    Parts of the picture; which nuclei come in which part depends on the windows only.

    Raises
    ------
    ValueError
        When ``depth`` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    windows = windows_for(picture, model) if windows is None else windows
    stitcher = Stitcher(windows)
    look = partial(_found, picture, model)
    asked = (one for one in windows)
    for window, found in _looked(asked, look, wanted, pool, depth):
        part = stitcher.add(window, found)
        if part is not None:
            yield part


def windows_for(
    picture: Picture, model: SegmenterModel, *, side_px: int = 1024, halo_px: int | None = None
) -> Windows:
    """Windows over a picture that suit a model.

    Parameters
    ----------
    picture
        What they cover.
    model
        Tells the halo, unless that is given, and the multiples.
    side_px
        Largest side of a window with its halo.
    halo_px
        How far a window reaches beyond what it answers for.

    Raises
    ------
    ValueError
        When ``side_px`` leaves nothing between the halos.
    """
    height, width = picture.shape_px
    halo = model.halo_px if halo_px is None else halo_px
    return Windows.over(width, height, side_px=side_px, halo_px=halo, multiple_px=model.multiple_px)


def _looked(
    asked: Iterator[Window], look: Callable[[Box], Found], wanted: Callable[[Box], bool] | None,
    pool: Executor | None, depth: int,
) -> Iterator[tuple[Window, Found | None]]:  # fmt: skip
    """Windows in their order with what is found in them, of which a pool finds a few ahead."""
    if pool is None:
        for window in asked:
            skip = wanted is not None and not wanted(window.core)
            yield window, None if skip else look(window.read)
        return
    waiting: deque[tuple[Window, Future[Found] | None]] = deque()
    try:
        for window in asked:
            skip = wanted is not None and not wanted(window.core)
            waiting.append((window, None if skip else pool.submit(look, window.read)))
            while sum(future is not None for _, future in waiting) > depth:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())
    finally:
        for _, future in waiting:
            if future is not None:
                future.cancel()


def _result(window: Window, future: Future[Found] | None) -> tuple[Window, Found | None]:
    return window, None if future is None else future.result()


def _found(picture: Picture, model: SegmenterModel, box: Box) -> Found:
    """Nuclei of a box, which is filled up with its reflection beyond the picture."""
    rows, columns = picture.shape_px
    width, height = min(box.x1, columns) - box.x0, min(box.y1, rows) - box.y0
    pixels: Pixels = picture.read(box.x0, box.y0, width, height)
    beyond = ((0, box.y1 - box.y0 - height), (0, box.x1 - box.x0 - width), (0, 0))
    return model.segment(np.pad(pixels, beyond, mode="reflect"))
