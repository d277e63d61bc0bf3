"""What a Xenium bundle holds, as arrays: what is simulated on one side and written on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Indices, Matrix, Pixels, Vector

PIXEL_UM: Final = 0.2125  # of the morphology image, on every instrument so far
DIGITS: Final = 8  # of a cell's id, base 16


@dataclass(frozen=True, eq=False)
class Molecules:
    """Transcripts, some or all of a section's.

    Parameters
    ----------
    cell
        Row of the cell, shape (m,); -1 outside of cells.
    feature
        Code among the genes and then the controls, shape (m,).
    um
        x, y and z in micrometres, shape (m, 3).
    qv
        Quality values, shape (m,).
    nuclear
        Whether it lies over a nucleus, shape (m,).
    """

    cell: Codes
    feature: Codes
    um: Matrix
    qv: Vector
    nuclear: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Picture:
    """A stained image that need not exist as a whole.

    Parameters
    ----------
    shape_px
        Height and width.
    tile
        Row, column, height and width → pixels, shape (height, width, 3), always inside the image.
    mpp
        Micrometres per pixel.
    to_morphology
        Its pixels (x, y, 1) → pixels of the morphology image, shape (3, 3).
    """

    shape_px: tuple[int, int]
    tile: Callable[[int, int, int, int], Pixels]
    mpp: float
    to_morphology: Matrix

    @classmethod
    def of(cls, pixels: Pixels, mpp: float, to_morphology: Matrix) -> Picture:
        """The picture that an array, or anything that is sliced like one, holds."""

        def tile(row: int, column: int, height: int, width: int) -> Pixels:
            return np.asarray(pixels[row : row + height, column : column + width])

        return cls((pixels.shape[0], pixels.shape[1]), tile, mpp, to_morphology)


@dataclass(frozen=True, eq=False)
class Bundle:
    """One region; n cells, g genes, c controls.

    Parameters
    ----------
    name
        Of the region.
    um
        Centroids, shape (n, 2).
    counts
        CSR, shape (n, g + c).
    genes, controls
        Names of the features, shapes (g,) and (c,).
    kind
        True type of each cell, shape (n,).
    cells, nuclei
        Outlines in micrometres, shape (n, vertices, 2), the first vertex not repeated.
    molecules
        In pieces, so that they need not be in memory together; in cells and of quality 20 or more they are
        the counts.
    picture
        The stained image, or None.
    morphology
        Nuclear stain, shape (height, width), at `PIXEL_UM`; or None.
    """

    name: str
    um: Matrix
    counts: sp.csr_matrix
    genes: NDArray[np.str_]
    controls: NDArray[np.str_]
    kind: NDArray[np.str_]
    cells: Matrix
    nuclei: Matrix
    molecules: Callable[[], Iterable[Molecules]]
    picture: Picture | None = None
    morphology: NDArray[np.uint16] | None = None

    @property
    def ids(self) -> NDArray[np.str_]:
        """Ids of the cells, shape (n,)."""
        return cell_ids(np.arange(len(self.um)))


def cell_ids(number: Indices) -> NDArray[np.str_]:
    """Names as the instrument gives them: eight letters a to p, a digit of base 16 each, and ``-1``.

    The multiplication by an odd number permutes the integers below 2³², so that no two are equal.
    """
    code = (np.asarray(number).astype(np.uint64) + 1) * 2654435761 % 2**32
    digits = (code[:, None] >> (4 * np.arange(DIGITS, dtype=np.uint64)[::-1])) & 15
    letters = (digits + ord("a")).astype(np.uint8)
    return np.char.add(np.ascontiguousarray(letters).view(f"S{DIGITS}").ravel().astype(str), "-1")


def feature_types(controls: NDArray[np.str_]) -> list[str]:
    """Kind of each control, by its name."""
    kinds = {"NegControlProbe": "Negative Control Probe", "NegControlCodeword": "Negative Control Codeword"}
    return [kinds.get(str(name).partition("_")[0], "Unassigned Codeword") for name in controls]
