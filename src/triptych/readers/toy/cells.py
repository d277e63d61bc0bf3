"""The toy study of single cells: niches, cells of common and rare types, molecules, and a stained slide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.readers.affine import transform
from triptych.readers.toy.bundle import PIXEL_UM, Bundle, Molecules, Picture
from triptych.readers.toy.nuclei import Nuclei, Slide
from triptych.readers.toy.stain import Stain
from triptych.readers.toy.tissue import Map

TYPES: Final = ("Tumour", "Luminal", "Fibroblast", "T-cell", "Macrophage", "Mast", "Dendritic")
MIX: Final = np.array(  # share of each type (column) in each niche (row); the last two are rare
    [
        [0.72, 0.10, 0.08, 0.04, 0.04, 0.005, 0.015],
        [0.14, 0.62, 0.14, 0.03, 0.04, 0.020, 0.010],
        [0.05, 0.06, 0.68, 0.06, 0.08, 0.060, 0.010],
        [0.06, 0.04, 0.10, 0.62, 0.10, 0.010, 0.070],
        [0.06, 0.06, 0.22, 0.10, 0.52, 0.025, 0.015],
    ]
)
KIN: Final = np.array([1, 0, 5, 6, 6, 4, 4])  # the type whose markers a type also shows, more weakly
LENGTH_UM: Final = np.array([11.0, 8.5, 13.0, 6.5, 9.0, 8.0, 8.5])  # of a nucleus
ASPECT: Final = np.array([1.25, 1.15, 2.4, 1.05, 1.5, 1.2, 1.9])
DARKNESS: Final = np.array([0.50, 0.60, 0.55, 0.90, 0.62, 0.80, 0.55])
CONTROLS: Final = np.array(["NegControlProbe_0001", "NegControlCodeword_0500", "UnassignedCodeword_0100"])
DENSITY: Final = 0.006  # cells per µm²
DEPTH: Final = 45.0  # median counts of a cell
FOLD: Final = (0.6, 1.8)  # range of a marker's natural-log fold change
MARGIN_UM: Final = 20.0
HE_MPP: Final = 0.5
TURN: Final = np.deg2rad(8.0)  # of the stained slide against the instrument
VERTICES: Final = 12
AT_ONCE: Final = 1 << 20  # counts whose molecules are drawn together


@dataclass(frozen=True)
class ToyCells:
    """Parameters of a toy study of single cells.

    Parameters
    ----------
    seed
        Same seed, same bits.
    sections
        Of one donor each.
    cells
        Per section, about.
    genes
        Each marks one of the seven types and, more weakly, its kin.
    batch
        Standard deviation, in natural logarithms, of the factor of each gene and stain by section.
    morphology
        Whether the instrument's image of the nuclei is drawn; of a large section it is large.
    """

    seed: int = 0
    sections: int = 2
    cells: int = 600
    genes: int = 60
    batch: float = 0.1
    morphology: bool = True
    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.sections <= 26:
            raise ValueError(
                f"sections must be from 1 to 26 (they are named by letters), got {self.sections}"
            )
        if self.seed < 0 or self.batch < 0:
            raise ValueError("seed and batch must not be negative")
        if self.cells < 50 or self.genes < len(TYPES):
            raise ValueError(f"cells must be at least 50 and genes {len(TYPES)}")

    def names(self) -> list[str]:
        """Names of the sections."""
        return [chr(ord("A") + number) + "1" for number in range(self.sections)]

    def make(self) -> Iterable[Bundle]:
        """Draw the sections, one after the other."""
        root = np.random.default_rng(self.seed)
        profile = profiles(self.genes, root)
        for name, rng in zip(self.names(), root.spawn(self.sections), strict=True):
            yield _section(self, name, profile, rng)


def profiles(genes: int, rng: np.random.Generator) -> Matrix:
    """Relative expression of each type, rows of sum 1, shape (types, genes)."""
    marked = np.arange(genes) % len(TYPES)
    fold = rng.uniform(*FOLD, genes)
    own = marked == np.arange(len(TYPES))[:, None]
    kin = marked == KIN[:, None]
    level: Matrix = np.exp(rng.normal(0, 0.8, genes) + fold * (own + 0.6 * kin))
    level /= level.sum(axis=1, keepdims=True)
    return level


def _section(toy: ToyCells, name: str, profile: Matrix, rng: np.random.Generator) -> Bundle:
    um, side = _places(toy.cells, rng)
    unit = (um - MARGIN_UM - side / 2) / (side / 2)
    niche = Map.draw(rng).balance(unit).fields(unit).argmax(axis=1)
    kind = np.minimum((rng.random(len(um))[:, None] > MIX.cumsum(axis=1)[niche]).sum(axis=1), len(TYPES) - 1)
    counts = _counts(toy, profile, kind, rng)
    axes = _axes(kind, rng)
    angle = rng.uniform(0, np.pi, len(um))
    nuclei, radius = _ellipses(um, axes, angle), 0.45 / np.sqrt(DENSITY)
    cells = _ellipses(um, np.maximum(axes * 1.2, radius), angle)
    seed = int(rng.integers(2**32))
    return Bundle(
        name=name,
        um=um,
        counts=counts,
        genes=np.array([f"G{gene:03d}" for gene in range(toy.genes)]),
        controls=CONTROLS,
        kind=np.array(TYPES)[kind],
        cells=cells,
        nuclei=nuclei,
        molecules=lambda: molecules(um, counts, side + 2 * MARGIN_UM, np.random.default_rng(seed)),
        picture=_picture(toy, um, axes, angle, kind=kind, side=side, rng=rng),
        morphology=_morphology(um, axes, angle, side) if toy.morphology else None,
    )


def _places(number: int, rng: np.random.Generator) -> tuple[Matrix, float]:
    """A jittered hexagonal array in a square, shape (n, 2), and the square's side; both in µm."""
    side = float(np.sqrt(number / DENSITY))
    columns = round(np.sqrt(number * np.sqrt(0.75)))
    rows = round(number / columns)
    row, column = (axis.ravel() for axis in np.divmod(np.arange(rows * columns), columns))
    cell = np.column_stack([(column + 0.25 + 0.5 * (row % 2)) / columns, (row + 0.5) / rows])
    jitter = rng.normal(0, 0.13, cell.shape) / [columns, rows]
    return MARGIN_UM + side * np.clip(cell + jitter, 0, 1), side


def _axes(kind: Codes, rng: np.random.Generator) -> Matrix:
    """Half axes of nuclei in µm, shape (n, 2)."""
    long = LENGTH_UM[kind] * np.exp(rng.normal(0, 0.12, len(kind))) / 2
    return np.column_stack([long, long / (ASPECT[kind] * np.exp(rng.normal(0, 0.08, len(kind))))])


def _counts(toy: ToyCells, profile: Matrix, kind: Codes, rng: np.random.Generator) -> sp.csr_matrix:
    """Counts of genes and controls: negative binomial of r = 3, in blocks so that none is large."""
    factor = np.exp(rng.normal(0, toy.batch, toy.genes))
    blocks = []
    for start in range(0, len(kind), 20_000):
        part = kind[start : start + 20_000]
        mean = DEPTH * np.exp(rng.normal(0, 0.5, len(part)))[:, None] * (profile[part] * factor)
        drawn = rng.poisson(mean * rng.gamma(3.0, 1 / 3.0, mean.shape))
        rare = rng.poisson(0.02, (len(part), len(CONTROLS)))
        blocks.append(sp.csr_matrix(np.hstack([drawn, rare]).astype(np.int32)))
    return sp.vstack(blocks, format="csr")


def _ellipses(um: Matrix, axes: Matrix, angle: Vector) -> Matrix:
    """Outlines of `VERTICES` points, shape (n, VERTICES, 2)."""
    turn = 2 * np.pi * np.arange(VERTICES) / VERTICES
    x, y = axes[:, :1] * np.cos(turn), axes[:, 1:] * np.sin(turn)
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return um[:, None, :] + np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


def molecules(
    um: Matrix, counts: sp.csr_matrix, side_um: float, rng: np.random.Generator
) -> Iterable[Molecules]:
    """One transcript for each count, and others that do not count: outside of cells, or of low quality.

    Parameters
    ----------
    um
        Centroids, around which they lie, shape (n, 2).
    counts
        Shape (n, features).
    side_um
        Of the square in which those outside of cells lie.
    rng
        Draws the places.
    """
    ends = np.searchsorted(counts.indptr, np.arange(0, counts.nnz + AT_ONCE, AT_ONCE), side="left")
    ends = np.unique(np.minimum(np.append(ends, len(um)), len(um)))
    for start, stop in pairwise(ends):
        part = counts[start:stop].tocoo()
        cell = np.repeat(part.row + start, part.data)
        feature = np.repeat(part.col, part.data)
        low, stray = len(cell) // 8, len(cell) // 20
        again = rng.integers(len(cell), size=low)
        cell = np.concatenate([cell, cell[again], np.full(stray, -1)])
        feature = np.concatenate([feature, feature[again], rng.integers(counts.shape[1], size=stray)])
        qv = np.concatenate([rng.uniform(20.1, 40, len(cell) - low - stray), rng.uniform(1, 19.9, low)])
        qv = np.append(qv, rng.uniform(1, 40, stray))
        offset = rng.normal(0, 2.5, (len(cell), 2))
        centre = np.where(cell[:, None] >= 0, um[cell], rng.uniform(0, side_um, (len(cell), 2)))
        places = np.clip(centre + offset, 0, side_um)
        nuclear = (np.hypot(*offset.T) < 3) & (cell >= 0)
        deep = rng.uniform(12, 20, len(cell))
        order = rng.permutation(len(cell))
        yield Molecules(
            cell[order], feature[order], np.column_stack([places, deep])[order], qv[order], nuclear[order]
        )


def _picture(
    toy: ToyCells,
    um: Matrix,
    axes: Matrix,
    angle: Vector,
    *,
    kind: Codes,
    side: float,
    rng: np.random.Generator,
) -> Picture:
    """The stained slide, turned by `TURN` about the tissue's middle."""
    extent = side + 2 * MARGIN_UM
    size = round(extent * (np.cos(TURN) + np.sin(TURN)) / HE_MPP)
    turn = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
    to_um = np.eye(3)
    to_um[:2, :2] = HE_MPP * turn
    to_um[:2, 2] = extent / 2 - HE_MPP * turn @ np.full(2, size / 2)
    to_unit = np.diag([2 / side, 2 / side, 1.0]) @ to_um
    to_unit[:2, 2] -= 1 + 2 * MARGIN_UM / side
    to_px = np.linalg.inv(to_um)
    dark = DARKNESS[kind] * np.exp(rng.normal(0, 0.15, len(kind)))
    nuclei = Nuclei(transform(to_px, um), axes / HE_MPP, angle - TURN, dark)
    stain = Stain.plain().vary(toy.batch, rng)
    slide = Slide(nuclei, to_unit, Slide.draw_waves(rng), stain, int(rng.integers(2**32)))
    to_morphology = np.diag([1 / PIXEL_UM, 1 / PIXEL_UM, 1.0]) @ to_um
    return Picture((size, size), slide.tile, HE_MPP, to_morphology)


def _morphology(um: Matrix, axes: Matrix, angle: Vector, side: float) -> NDArray[np.uint16]:
    """The fluorescence of the nuclei, shape (height, width)."""
    size = round((side + 2 * MARGIN_UM) / PIXEL_UM)
    nuclei = Nuclei(um / PIXEL_UM, axes / PIXEL_UM, angle, np.ones(len(um)))
    tiles = [
        np.hstack([nuclei.density(r, c, min(512, size - r), min(512, size - c)) for c in range(0, size, 512)])
        for r in range(0, size, 512)
    ]
    return (200 + 4000 * np.vstack(tiles)).astype(np.uint16)
