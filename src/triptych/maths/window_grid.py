"""Windows that overlap by a halo and whose cores tile a region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle of pixels: from ``x0`` and ``y0`` to before ``x1`` and ``y1``."""

    x0: int
    y0: int
    x1: int
    y1: int

    def meets(self, other: Box) -> bool:
        """Whether they share a pixel."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def slices(self, x0: int = 0, y0: int = 0) -> tuple[slice, slice]:
        """Its rows and columns in an array that begins at ``x0`` and ``y0``."""
        return slice(self.y0 - y0, self.y1 - y0), slice(self.x0 - x0, self.x1 - x0)


@dataclass(frozen=True)
class Window:
    """What is looked at at once.

    Parameters
    ----------
    row, column
        Its place among the windows.
    read
        What is seen; to the right and below it may reach beyond the region.
    core
        What it answers for.
    """

    row: int
    column: int
    read: Box
    core: Box


@dataclass(frozen=True)
class Windows:
    """Windows over a region, in rows from the top; see `over`.

    Parameters
    ----------
    width, height
        Of the region.
    step_px
        Side of a core.
    halo_px
        How far a window reaches beyond its core.
    multiple_px
        Left and top of a window, and its sides, are multiples of it.
    """

    width: int
    height: int
    step_px: int
    halo_px: int
    multiple_px: int

    @classmethod
    def over(cls, width: int, height: int, *, side_px: int, halo_px: int, multiple_px: int = 1) -> Windows:
        """Cover a region.

        Parameters
        ----------
        width, height
            Of the region, in pixels.
        side_px
            Largest side of a window with its halo.
        halo_px
            Least halo; none at the border of the region.
        multiple_px
            Of what origins and sides of the windows are multiples, so that a network that pools pools the
            same pixels in every window.

        Raises
        ------
        ValueError
            When the side leaves no core.
        """
        if min(width, height, multiple_px) < 1 or halo_px < 0:
            raise ValueError(f"no windows of a halo of {halo_px} px over {width} × {height} px")
        halo = -(-halo_px // multiple_px) * multiple_px
        step = (side_px - 2 * halo) // multiple_px * multiple_px
        if step < 1:
            raise ValueError(
                f"side_px must be at least {2 * halo + multiple_px} for a halo of {halo} px on either side, "
                f"got {side_px}"
            )
        return cls(width, height, step, halo, multiple_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        return self._number(self.height), self._number(self.width)

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    def __iter__(self) -> Iterator[Window]:
        rows, columns = self.shape
        return (self[row, column] for row in range(rows) for column in range(columns))

    def __getitem__(self, place: tuple[int, int]) -> Window:
        row, column = place
        (top, core_top, core_bottom, bottom) = self._ends(row, self.height)
        (left, core_left, core_right, right) = self._ends(column, self.width)
        core = Box(core_left, core_top, core_right, core_bottom)
        return Window(row, column, Box(left, top, right, bottom), core)

    def seeing(self, box: Box) -> tuple[slice, slice]:
        """Rows and columns of the windows that see a part of a box."""
        rows, columns = self.shape
        return self._range(box.y0, box.y1, rows), self._range(box.x0, box.x1, columns)

    def depth(self, window: Window, box: Box) -> int:
        """How far a box lies from the border of a window, except where that is the region's, in pixels."""
        seen, far = window.read, self.width + self.height
        return min(
            box.x0 - seen.x0 if seen.x0 > 0 else far,
            box.y0 - seen.y0 if seen.y0 > 0 else far,
            seen.x1 - box.x1 if seen.x1 < self.width else far,
            seen.y1 - box.y1 if seen.y1 < self.height else far,
        )

    def _number(self, extent: int) -> int:
        # the last core reaches to the end of the region wherever its window, without a halo there, can
        return max(1, -(-(extent - self.halo_px) // self.step_px))

    def _ends(self, place: int, extent: int) -> tuple[int, int, int, int]:
        """Where along one axis the window begins, its core does, the core ends and the window does."""
        first = place * self.step_px
        last = extent if place == self._number(extent) - 1 else first + self.step_px
        end = min(last + self.halo_px, extent)
        return max(first - self.halo_px, 0), first, last, -(-end // self.multiple_px) * self.multiple_px

    def _range(self, first: int, last: int, number: int) -> slice:
        # the last window is longer than the others by less than a halo
        low = (first - self.halo_px) // self.step_px
        high = (last - 1 + self.halo_px) // self.step_px
        return slice(min(max(low, 0), number - 1), min(high, number - 1) + 1)
