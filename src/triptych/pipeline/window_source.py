"""Windows of the sections of a study, cut from their slides when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from triptych.core.protocols import Indices
from triptych.core.protocols import Pixels as Rgb
from triptych.pipeline.pixels import Pixels
from triptych.pipeline.windowing import BATCH, side_px
from triptych.tiles.slide import open_slide
from triptych.tiles.windows import Windows, stream


@dataclass(frozen=True, eq=False)
class SlideWindows:
    """The windows of some observations; nothing is cut before `take`.

    Parameters
    ----------
    sections
        What to crop.
    sides_px
        Side of the windows of each section, in pixels of its image.
    tile_px
        Side of the arrays given.
    section
        Section of each row, shape (n,).
    position
        Position of each row within its section, shape (n,).
    """

    sections: tuple[Pixels, ...]
    sides_px: tuple[float, ...]
    tile_px: int
    section: Indices
    position: Indices

    @classmethod
    def of(cls, component: Any, sections: list[Pixels]) -> Self:
        """All windows of some sections.

        Raises
        ------
        DataError
            When an image has no µm per pixel and the windows are given in µm.
        """
        n = sum(len(one.rows) for one in sections)
        section, position = np.empty(n, np.int64), np.empty(n, np.int64)
        for number, one in enumerate(sections):
            section[one.rows], position[one.rows] = number, np.arange(len(one.rows))
        sides = tuple(side_px(component, one) for one in sections)
        return cls(tuple(sections), sides, component.tile_px, section, position)

    def __len__(self) -> int:
        return len(self.section)

    def some(self, rows: Indices) -> SlideWindows:
        """The windows of some rows."""
        return SlideWindows(
            self.sections, self.sides_px, self.tile_px, self.section[rows], self.position[rows]
        )

    def take(self, rows: Indices) -> Rgb:
        """Cut windows.

        Parameters
        ----------
        rows
            Of which observations, shape (b,).

        Returns
        -------
        In their order, shape (b, tile_px, tile_px, 3).
        """
        out = np.empty((len(rows), self.tile_px, self.tile_px, 3), np.uint8)
        of, position = self.section[rows], self.position[rows]
        for number in np.unique(of):
            mine = np.flatnonzero(of == number)
            one = self.sections[number]
            windows = Windows(one.centres_px[position[mine]], self.sides_px[number], self.tile_px)
            for indices, pixels in stream(open_slide(one.image), windows, BATCH):
                out[mine[indices]] = pixels
        return out
