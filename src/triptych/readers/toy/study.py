"""The toy study: a few sections of a few donors, small enough for a laptop, with every truth known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Indices, Matrix, Pixels, Vector
from triptych.readers.toy import tissue
from triptych.readers.toy.expression import Programmes, gene_names
from triptych.readers.toy.lattice import Lattice, Outline, lattice
from triptych.readers.toy.stain import Scene, Stain

CONCENTRATION = 6.0  # of the Dirichlet that mixes the types of a spot
UNLABELLED = 0.08  # share of the spots whose domain is withheld


@dataclass(frozen=True, eq=False)
class ToySection:
    """One section; n spots, m cells.

    Parameters
    ----------
    name, donor
        E.g. ``B2`` of donor ``B``.
    grid, spatial_px
        Array column and row, and centres in pixels (x, y), of the spots on tissue; shape (n, 2).
    domain, labelled
        Code of the true domain, and whether a pathologist would have told it; shape (n,).
    abundance
        Shares of the cell types, shape (n, types).
    counts
        CSR of int32, shape (n, genes).
    image
        Shape (height, width, 3).
    cells_px, cell_type
        Centres in pixels, shape (m, 2), and codes, shape (m,).
    """

    name: str
    donor: str
    grid: Indices
    spatial_px: Matrix
    domain: Codes
    labelled: NDArray[np.bool_]
    abundance: Matrix
    counts: sp.csr_matrix
    image: Pixels
    cells_px: Matrix
    cell_type: Codes


@dataclass(frozen=True, eq=False)
class ToyStudy:
    """Sections and the names of what they share.

    Parameters
    ----------
    sections
        In the order A1, A2, …, B1, …
    genes
        Shape (g,).
    domains, types
        Names of the codes.
    array
        All positions of the array, on tissue or not.
    mpp
        Micrometres per pixel of the images.
    """

    sections: tuple[ToySection, ...]
    genes: NDArray[np.str_]
    domains: tuple[str, ...]
    types: tuple[str, ...]
    array: Lattice
    mpp: float


@dataclass(frozen=True)
class Toy:
    """Parameters of a toy study.

    Parameters
    ----------
    seed
        Same seed, same bits.
    donors, sections_per_donor
        Sections of a donor show nearly the same regions.
    side
        Spots per row of the array; about 0.78 · side² spots are on tissue.
    genes
        Two in five mark one of the cell types.
    batch
        Standard deviation, in natural logarithms, of the factor of each gene and stain by donor;
        half of it by section.
    lattice
        ``square`` (pitch 200 µm) or ``hex`` (Visium, pitch 100 µm).
    """

    seed: int = 0
    donors: int = 2
    sections_per_donor: int = 2
    side: int = 18
    genes: int = 200
    batch: float = 0.2
    lattice: Literal["square", "hex"] = "square"
    mpp: ClassVar[float] = 2.0
    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.donors <= 26:
            raise ValueError(f"donors must be from 1 to 26 (they are named by letters), got {self.donors}")
        if self.seed < 0 or self.sections_per_donor < 1 or self.batch < 0:
            raise ValueError("seed and batch must not be negative, and sections_per_donor at least 1")
        if not 6 <= self.side <= 64:
            raise ValueError(f"side must be from 6 to 64, got {self.side}")
        if self.genes < 20:
            raise ValueError(f"genes must be at least 20, got {self.genes}")

    def make(self) -> ToyStudy:
        """Draw the study; more donors or sections leave the first ones as they are."""
        root = np.random.default_rng(self.seed)
        programmes = Programmes.draw(self.genes, len(tissue.TYPES), root)
        array = lattice(self.lattice, self.side)
        sections = []
        for index, rng in enumerate(root.spawn(self.donors)):
            donor = _Donor.draw(self, chr(ord("A") + index), array, rng)
            for number, own in enumerate(rng.spawn(self.sections_per_donor), start=1):
                sections.append(donor.section(number, programmes, array, own))
        names = gene_names(self.genes, len(tissue.TYPES))
        return ToyStudy(tuple(sections), names, tissue.DOMAINS, tissue.TYPES, array, self.mpp)


@dataclass(frozen=True, eq=False)
class _Donor:
    """What the sections of a donor share: the map, the shares of types, distortions of genes and stains."""

    toy: Toy
    name: str
    regions: tissue.Map
    shares: Matrix
    distortion: Vector
    stain: Stain

    @classmethod
    def draw(cls, toy: Toy, name: str, array: Lattice, rng: np.random.Generator) -> _Donor:
        regions = tissue.Map.draw(rng).balance(tissue.unit(array.um, array.size_um))
        distortion = np.exp(rng.normal(0, toy.batch, toy.genes))
        return cls(toy, name, regions, tissue.mix(rng), distortion, Stain.plain().vary(toy.batch, rng))

    def section(
        self, number: int, programmes: Programmes, array: Lattice, rng: np.random.Generator
    ) -> ToySection:
        """Draw one section."""
        toy, outline = self.toy, Outline.draw(array, rng)
        kept = outline.depth_um(array.um) > 0
        spots = replace(array, grid=array.grid[kept], um=array.um[kept])
        regions = self.regions.vary(rng)
        domain = regions.fields(tissue.unit(spots.um, array.size_um)).argmax(axis=1)
        abundance = tissue.abundances(domain, self.shares, CONCENTRATION, rng)
        distortion = self.distortion * np.exp(rng.normal(0, toy.batch / 2, toy.genes))
        cells = tissue.cells(spots, domain, abundance, outline, rng)
        stain = self.stain.vary(toy.batch / 2, rng)
        return ToySection(
            name=f"{self.name}{number}",
            donor=self.name,
            grid=spots.grid,
            spatial_px=spots.um / toy.mpp,
            domain=domain,
            labelled=rng.random(len(domain)) >= UNLABELLED,
            abundance=abundance,
            counts=programmes.count(abundance, distortion, rng),
            image=Scene(regions, outline, cells, toy.mpp).photograph(stain, rng),
            cells_px=cells.um / toy.mpp,
            cell_type=cells.kind,
        )
