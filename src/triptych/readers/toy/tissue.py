"""What lies where: domains as smooth regions, cell types mixed by domain, and the cells themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix
from triptych.readers.toy.lattice import Lattice, Outline

DOMAINS: Final = (
    "invasive cancer",
    "breast glands",
    "connective tissue",
    "immune infiltrate",
    "adipose tissue",
)
TYPES: Final = ("Tumour", "Luminal", "CAFs", "T-cells", "Myeloid")
MIX: Final = np.array(  # mean share of each type (column) in each domain (row)
    [
        [0.62, 0.08, 0.13, 0.07, 0.10],
        [0.10, 0.58, 0.15, 0.07, 0.10],
        [0.06, 0.08, 0.66, 0.07, 0.13],
        [0.10, 0.06, 0.11, 0.58, 0.15],
        [0.05, 0.07, 0.26, 0.10, 0.52],
    ]
)
CELLS_PER_MM2: Final = np.array([1800.0, 1500.0, 1100.0, 2200.0, 800.0])
WAVES: Final = 40
LENGTH: Final = 0.5  # of the regions, as a fraction of the tissue's radius


@dataclass(frozen=True, eq=False)
class Map:
    """Smooth random fields, one per domain; a point belongs to the domain whose field is highest.

    The fields are sums of cosines, f_k(p) = b_k + Σ_j a_kj cos(w_j·p + c_j), so that they are known
    everywhere (Rahimi and Recht 2007: a Gaussian process with a squared-exponential kernel).

    Parameters
    ----------
    frequency, phase
        Shapes (WAVES, 2) and (WAVES,).
    amplitude, offset
        Shapes (WAVES, k) and (k,).
    """

    frequency: Matrix
    phase: Matrix
    amplitude: Matrix
    offset: Matrix

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Map:
        """The map of a donor, before its domains are balanced."""
        k = len(DOMAINS)
        return cls(
            rng.normal(0, 1 / LENGTH, (WAVES, 2)),
            rng.uniform(0, 2 * np.pi, WAVES),
            rng.normal(0, np.sqrt(2 / WAVES), (WAVES, k)),
            np.zeros(k),
        )

    def vary(self, rng: np.random.Generator) -> Map:
        """The map of another section: the same regions, a little moved and reshaped."""
        amplitude = self.amplitude + rng.normal(0, 0.1 * np.sqrt(2 / WAVES), self.amplitude.shape)
        return replace(self, amplitude=amplitude, phase=self.phase + rng.normal(0, 0.06, WAVES))

    def balance(self, points: Matrix) -> Map:
        """Shift the fields until the domains have about the same area."""
        offset = self.offset.copy()
        values = self.fields(points) - self.offset
        for _ in range(60):
            won = np.bincount(np.argmax(values + offset, axis=1), minlength=len(DOMAINS)) / len(points)
            offset += 0.5 * (1 / len(DOMAINS) - won)
        return replace(self, offset=offset)

    def fields(self, points: Matrix) -> Matrix:
        """Fields at points in units of the tissue's radius, shape (n, k)."""
        waves = np.cos(points @ self.frequency.T + self.phase)
        values: NDArray[np.float64] = waves @ self.amplitude + self.offset
        return values


def unit(um: Matrix, size_um: tuple[float, float]) -> Matrix:
    """Points in units of the tissue's radius, from the centre of the image."""
    half = np.asarray(size_um) / 2
    scaled: NDArray[np.float64] = (um - half) / half.min()
    return scaled


def mix(rng: np.random.Generator) -> Matrix:
    """A donor's own mean share of each type in each domain, shape (domains, types)."""
    return np.stack([rng.dirichlet(120 * row) for row in MIX])


def abundances(domain: Codes, shares: Matrix, concentration: float, rng: np.random.Generator) -> Matrix:
    """Shares of the types in each spot, Dirichlet around its domain's, shape (n, types)."""
    weight = rng.standard_gamma(concentration * shares[domain]) + 1e-6
    scaled: NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return scaled


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one section.

    Parameters
    ----------
    um
        Centres, shape (m, 2).
    kind
        Code of the type, shape (m,).
    """

    um: Matrix
    kind: Codes


def cells(
    spots: Lattice, domain: Codes, abundance: Matrix, outline: Outline, rng: np.random.Generator
) -> Cells:
    """Scatter cells in the rectangle of each spot, their types drawn from the spot's shares."""
    step = np.asarray(spots.step_um)
    number = rng.poisson(CELLS_PER_MM2[domain] * step.prod() / 1e6)
    spot = np.repeat(np.arange(len(domain)), number)
    um = spots.um[spot] + rng.uniform(-0.5, 0.5, (len(spot), 2)) * step
    kind = (rng.random(len(spot))[:, None] > abundance.cumsum(axis=1)[spot]).sum(axis=1)
    kind = np.minimum(kind, abundance.shape[1] - 1)
    inside = outline.depth_um(um) > 0
    return Cells(um[inside], kind[inside])
