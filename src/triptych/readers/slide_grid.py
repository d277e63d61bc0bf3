"""A regular square grid of patches over a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.core.errors import DataError
from triptych.core.protocols import Indices, Matrix


@dataclass(frozen=True)
class Grid:
    """Whole patches that tile a picture; what is left at its border is shared by opposite edges.

    Parameters
    ----------
    rows, columns
        Number of patches down and across.
    side_px
        Side of a patch, which is the distance of neighbours, in full-resolution pixels; need not be whole.
    left_px, top_px
        Where the first patch begins.
    """

    rows: int
    columns: int
    side_px: float
    left_px: float
    top_px: float

    @classmethod
    def over(cls, width: int, height: int, side_px: float) -> Grid:
        """As many patches as a picture holds.

        Parameters
        ----------
        width, height
            Of the picture, in pixels.
        side_px
            Of a patch.

        Raises
        ------
        DataError
            When it holds none, or a patch is smaller than a pixel.
        """
        if side_px < 1:
            raise DataError(
                f"A patch would be {side_px:.3g} px wide.", "Check mpp, or choose a larger pitch_um."
            )
        columns, rows = int(width // side_px), int(height // side_px)
        if not rows or not columns:
            raise DataError(
                f"The picture of {width} × {height} px is smaller than a patch of {side_px:.0f} px.",
                "Check mpp, or choose a smaller pitch_um.",
            )
        return cls(rows, columns, side_px, (width - columns * side_px) / 2, (height - rows * side_px) / 2)

    @property
    def x_edges(self) -> Matrix:
        """Where patches begin and the last one ends, shape (columns + 1,)."""
        return self.left_px + self.side_px * np.arange(self.columns + 1)

    @property
    def y_edges(self) -> Matrix:
        """The same from top to bottom, shape (rows + 1,)."""
        return self.top_px + self.side_px * np.arange(self.rows + 1)

    def places(self, keep: NDArray[np.bool_]) -> tuple[Indices, Indices, Matrix]:
        """Row, column, and centre in pixels of the patches that are kept, row by row.

        Parameters
        ----------
        keep
            Shape (rows, columns).

        Returns
        -------
        Shapes (n,), (n,) and (n, 2), the last x and y.
        """
        row, column = np.nonzero(keep)
        corner = np.array([self.left_px, self.top_px])
        return row, column, corner + self.side_px * (np.column_stack([column, row]) + 0.5)
