"""Where spots lie: the square array of Spatial Transcriptomics, and the hexagonal one of Visium."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Indices, Matrix, Vector

MARGIN_UM = 200.0
PITCH_UM = {"square": 200.0, "hex": 100.0}
SPOT_UM = {"square": 100.0, "hex": 55.0}


@dataclass(frozen=True, eq=False)
class Lattice:
    """An array of spots.

    Parameters
    ----------
    kind
        ``square``: every position; ``hex``: only those whose row and column are both even or both odd.
    grid
        Array column and row, shape (n, 2), counted from 0.
    um
        Centres from the top left corner of the image, micrometres, shape (n, 2).
    size_um
        Width and height of the image.
    """

    kind: Literal["square", "hex"]
    grid: Indices
    um: Matrix
    size_um: tuple[float, float]

    @property
    def step_um(self) -> tuple[float, float]:
        """Sides of a rectangle that belongs to one spot; the rectangles tile the array."""
        pitch = PITCH_UM[self.kind]
        return (pitch, pitch if self.kind == "square" else pitch * np.sqrt(0.75))


def lattice(kind: Literal["square", "hex"], side: int) -> Lattice:
    """An array of ``side`` spots per row and as many rows as make it about as high as wide."""
    pitch = PITCH_UM[kind]
    if kind == "square":
        column, row = (axis.ravel() for axis in np.meshgrid(np.arange(side), np.arange(side)))
        unit = np.array([pitch, pitch])
    else:
        rows = round(side / np.sqrt(0.75))
        column, row = (axis.ravel() for axis in np.meshgrid(np.arange(side), np.arange(rows)))
        column = 2 * column + row % 2
        unit = np.array([pitch / 2, pitch * np.sqrt(0.75)])
    grid = np.column_stack([column, row])
    um = MARGIN_UM + pitch / 2 + grid * unit
    width, height = um.max(axis=0) + MARGIN_UM + pitch / 2
    return Lattice(kind, grid, um, (float(width), float(height)))


@dataclass(frozen=True, eq=False)
class Outline:
    """The edge of a roundish piece of tissue: a circle with two harmonics.

    Parameters
    ----------
    size_um
        Width and height of the image.
    radius_um
        Of the circle.
    waves
        Amplitude (fraction of the radius) and phase of the harmonics 2 and 3, shape (2, 2).
    """

    size_um: tuple[float, float]
    radius_um: float
    waves: Matrix

    @classmethod
    def draw(cls, array: Lattice, rng: np.random.Generator) -> Outline:
        """An outline that nearly fills the array."""
        waves = np.column_stack([rng.uniform(0.02, 0.06, 2), rng.uniform(0, 2 * np.pi, 2)])
        return cls(array.size_um, min(array.size_um) / 2 - MARGIN_UM, waves)

    def depth_um(self, um: Matrix) -> Vector:
        """How deep a point lies inside the tissue, negative outside; shape (n,)."""
        away = um - np.asarray(self.size_um) / 2
        angle = np.arctan2(away[:, 1], away[:, 0])
        bulge = (self.waves[:, 0] * np.cos(np.outer(angle, [2, 3]) + self.waves[:, 1])).sum(axis=1)
        depth: NDArray[np.float64] = self.radius_um * (1 + bulge) - np.hypot(away[:, 0], away[:, 1])
        return depth
