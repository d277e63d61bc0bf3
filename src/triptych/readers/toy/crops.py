"""The toy study of crops: types of cells that only the places of molecules or the look of stains tell.

Types A, B and C share one texture; of A the first half of the genes lies near the centre and the other half
near the rim, of B the reverse, of C both everywhere. D and E have the arrangement of C and a texture that
differs from it, whorls, which are each other's mirror image. A molecule that may lie everywhere lies near the
centre as often as near the rim, so that all genes together are spread alike in all types.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.readers.toy.textures import TEXTURES, Shapes, paint

TYPES: Final = ("A", "B", "C", "D", "E")
NEAR: Final = np.array(
    [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
)  # type × half of the genes
TEXTURE: Final = np.array([TEXTURES.index(name) for name in ("smooth", "smooth", "smooth", "left", "right")])
CORE: Final = 0.55  # of the radius: molecules near the centre lie within
RIM: Final = 0.7  # of the radius: those near the rim lie beyond
MPP: Final = 0.108
SPACING_PX: Final = 40
JITTER_PX: Final = 3.0
RADIUS_PX: Final = 12.0
ORIGIN_UM: Final = np.array([812.4, 1503.7])  # of the mosaic's first pixel
BLANKS: Final = ("Blank-1", "Blank-2")
DEPTH: Final = 72.0  # mean counts of a cell
STRAY: Final = 0.03  # of all molecules lie outside of cells


@dataclass(frozen=True, eq=False)
class Region:
    """One region; n cells, g genes, b blanks, m molecules.

    Parameters
    ----------
    name
        Of the region.
    shapes
        Of the cells.
    kind
        Code of the type of each cell, shape (n,).
    counts
        CSR, shape (n, g + b).
    genes
        Names of the genes and the blanks.
    cell, gene
        Row of the cell of each molecule, -1 outside of cells, and its column; shapes (m,).
    px
        x and y of the molecules, shape (m, 2).
    stains
        Name → grey values, shape (h, w).
    """

    name: str
    shapes: Shapes
    kind: Codes
    counts: sp.csr_matrix
    genes: NDArray[np.str_]
    cell: Codes
    gene: Codes
    px: Matrix
    stains: dict[str, NDArray[np.uint16]]


@dataclass(frozen=True)
class ToyCrops:
    """Parameters of a toy study of crops.

    Parameters
    ----------
    seed
        Same seed, same bits.
    sections
        Of one donor each.
    cells
        Per section.
    genes
        An even number; what is expected of each is the same in all types.
    """

    seed: int = 0
    sections: int = 1
    cells: int = 600
    genes: int = 24
    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.sections <= 26:
            raise ValueError(
                f"sections must be from 1 to 26 (they are named by letters), got {self.sections}"
            )
        if self.seed < 0:
            raise ValueError("seed must not be negative")
        if self.cells < 4 * len(TYPES):
            raise ValueError(f"cells must be at least {4 * len(TYPES)}, got {self.cells}")
        if self.genes < 2 or self.genes % 2:
            raise ValueError(f"genes must be an even number of at least 2, got {self.genes}")

    def names(self) -> list[str]:
        """Names of the sections."""
        return [chr(ord("A") + number) + "1" for number in range(self.sections)]

    def make(self) -> Iterable[Region]:
        """Draw the sections, one after the other."""
        root = np.random.default_rng(self.seed)
        level = levels(self.genes, root)
        for name, rng in zip(self.names(), root.spawn(self.sections), strict=True):
            yield _region(name, self.cells, level, rng)


def levels(genes: int, rng: np.random.Generator) -> Vector:
    """Mean count of each gene, the same for every type; either half of the genes sums to half of `DEPTH`."""
    halves: Matrix = np.exp(rng.normal(0, 0.4, (2, genes // 2)))
    level: Vector = (DEPTH / 2 * halves / halves.sum(axis=1, keepdims=True)).ravel()
    return level


def _region(name: str, cells: int, level: Vector, rng: np.random.Generator) -> Region:
    kind = rng.permutation(np.arange(cells) % len(TYPES))
    shapes, side = _shapes(cells, rng)
    blanks = np.full(len(BLANKS), 0.05)
    drawn = rng.poisson(np.append(level, blanks) * (shapes.radius_px**2 / RADIUS_PX**2)[:, None])
    counts = sp.csr_matrix(drawn.astype(np.int32))
    cell, gene, px = _molecules(counts, kind, shapes, len(level), rng=rng)
    stray = round(STRAY * len(cell))
    return Region(
        name=name,
        shapes=shapes,
        kind=kind,
        counts=counts,
        genes=np.array([*(f"G{number + 1:02d}" for number in range(len(level))), *BLANKS]),
        cell=np.append(cell, np.full(stray, -1)),
        gene=np.append(gene, rng.integers(counts.shape[1], size=stray)),
        px=np.concatenate([px, rng.uniform(0, side, (stray, 2))]),
        stains=paint(shapes, TEXTURE[kind], side, rng),
    )


def _shapes(cells: int, rng: np.random.Generator) -> tuple[Shapes, int]:
    """Cells on a jittered square array, near-round, of random orientation; and the side of the square."""
    columns = int(np.ceil(np.sqrt(cells)))
    row, column = np.divmod(np.arange(cells), columns)
    grid = SPACING_PX * (np.column_stack([column, row]) + 1.0)
    centre = grid + rng.uniform(-JITTER_PX, JITTER_PX, (cells, 2))
    radius = RADIUS_PX * np.exp(np.clip(rng.normal(0, 0.07, cells), -0.15, 0.15))
    shapes = Shapes(centre, radius, rng.uniform(1.0, 1.2, cells), rng.uniform(0, 2 * np.pi, cells))
    return shapes, SPACING_PX * (columns + 1)


def _molecules(
    counts: sp.csr_matrix, kind: Codes, shapes: Shapes, genes: int, *, rng: np.random.Generator
) -> tuple[Codes, Codes, Matrix]:
    """Cell, gene and place of each molecule: uniform in its disc or ring, and that turned into the cell."""
    part = counts.tocoo()
    cell, gene = np.repeat(part.row, part.data), np.repeat(part.col, part.data)
    half = (gene >= genes // 2).astype(np.int64)
    near = rng.random(len(cell)) < NEAR[kind[cell], half]
    area = rng.random(len(cell))
    radius = np.sqrt(np.where(near, CORE**2 * area, RIM**2 + (1 - RIM**2) * area))
    turn = rng.uniform(0, 2 * np.pi, len(cell))
    return cell, gene, shapes.place(cell, radius[:, None] * np.column_stack([np.cos(turn), np.sin(turn)]))
