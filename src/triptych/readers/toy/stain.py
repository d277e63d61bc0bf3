"""The stained image: nuclei as soft ellipses of haematoxylin on eosin, by the law of Beer and Lambert.

Light that passes is I = I₀ · 10^-(H·h + E·e): optical densities of the stains add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from triptych.core.protocols import Matrix, Pixels
from triptych.readers.toy.lattice import Outline
from triptych.readers.toy.tissue import Cells, Map, unit

# Optical density of red, green, blue: haematoxylin of Ruifrok and Johnston (2001), a pinker eosin.
STAINS: Final = np.array([[0.65, 0.70, 0.29], [0.15, 0.90, 0.36]])
LENGTH_UM: Final = np.array([13.0, 9.0, 16.0, 7.0, 10.0])  # of a nucleus, by type
ASPECT: Final = np.array([1.25, 1.15, 3.0, 1.05, 1.7])
DARKNESS: Final = np.array([0.45, 0.60, 0.55, 0.95, 0.60])
EOSIN: Final = np.array([0.27, 0.27, 0.32, 0.25, 0.22])  # of each domain
NUCLEI_AT_ONCE: Final = 4096
COARSE_PX: Final = 16
GLASS: Final = np.float32(246)  # light where there is nothing
NOISE: Final = np.float32(2)  # of the camera


@dataclass(frozen=True, eq=False)
class Stain:
    """How one section took its stains.

    Parameters
    ----------
    colours
        Optical densities of haematoxylin and eosin in red, green and blue, shape (2, 3), rows of length 1.
    strength
        Factors of haematoxylin and eosin, shape (2,).
    """

    colours: Matrix
    strength: Matrix

    @classmethod
    def plain(cls) -> Stain:
        """The published colours at full strength."""
        return cls(STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True), np.ones(2))

    def vary(self, spread: float, rng: np.random.Generator) -> Stain:
        """Another bath: colours and strengths drawn around these."""
        colours = np.abs(self.colours + rng.normal(0, 0.3 * spread, (2, 3)))
        strength = self.strength * np.exp(rng.normal(0, spread, 2))
        return Stain(colours / np.linalg.norm(colours, axis=1, keepdims=True), strength)


@dataclass(frozen=True, eq=False)
class Scene:
    """What is stained.

    Parameters
    ----------
    regions
        Map of the domains.
    outline
        Edge of the tissue.
    cells
        Their nuclei are drawn.
    mpp
        Micrometres per pixel.
    """

    regions: Map
    outline: Outline
    cells: Cells
    mpp: float

    @property
    def shape_px(self) -> tuple[int, int]:
        """Height and width."""
        width, height = self.outline.size_um
        return round(height / self.mpp), round(width / self.mpp)

    def photograph(self, stain: Stain, rng: np.random.Generator) -> Pixels:
        """The image, shape (height, width, 3)."""
        weight = (-np.log(10) * stain.strength[:, None] * stain.colours).astype(np.float32)
        haematoxylin, eosin = self.haematoxylin(rng), self.eosin(rng)
        noise = NOISE * rng.standard_normal(self.shape_px, dtype=np.float32)
        pixels = np.empty((*self.shape_px, 3), np.uint8)
        for colour in range(3):
            light = np.exp(haematoxylin * weight[0, colour] + eosin * weight[1, colour])
            light = np.rint(GLASS * light + noise)
            pixels[..., colour] = np.clip(light, 0, 255, out=light)
        return pixels

    def eosin(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Optical density of the ground: by domain, with a fine and a coarse texture, none off the tissue."""
        height, width = self.shape_px
        y, x = np.mgrid[0 : height + COARSE_PX : COARSE_PX, 0 : width + COARSE_PX : COARSE_PX]
        um = np.column_stack([x.ravel(), y.ravel()]) * self.mpp
        weight = np.exp(8 * self.regions.fields(unit(um, self.outline.size_um)))
        level = (weight @ EOSIN) / weight.sum(axis=1)
        level *= 1 + 0.15 * rng.normal(size=len(level))
        level *= np.clip(0.5 + self.outline.depth_um(um) / (COARSE_PX * self.mpp), 0, 1)
        smooth = zoom(
            level.reshape(y.shape).astype(np.float32), COARSE_PX, order=1, grid_mode=True, mode="nearest"
        )
        grain = gaussian_filter(rng.standard_normal(self.shape_px, dtype=np.float32), (1.0, 2.0))
        ground: NDArray[np.float32] = smooth[:height, :width] * (1 + 1.2 * grain)
        return np.maximum(ground, 0)

    def haematoxylin(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Optical density of the nuclei; where they overlap it saturates."""
        number = len(self.cells.kind)
        length = LENGTH_UM[self.cells.kind] * np.exp(rng.normal(0, 0.12, number)) / self.mpp
        breadth = length / (ASPECT[self.cells.kind] * np.exp(rng.normal(0, 0.06, number)))
        angle = rng.uniform(0, np.pi, number)
        dark = DARKNESS[self.cells.kind] * np.exp(rng.normal(0, 0.12, number))
        height, width = self.shape_px
        canvas = np.zeros(height * width)
        for start in range(0, number, NUCLEI_AT_ONCE):
            part = slice(start, start + NUCLEI_AT_ONCE)
            axes = np.column_stack([length[part], breadth[part]]) / 2
            where, ink = _ellipses(self.cells.um[part] / self.mpp, axes, angle[part], self.shape_px)
            canvas += np.bincount(where, (ink * dark[part, None, None]).ravel(), minlength=canvas.size)
        saturated: NDArray[np.float32] = (
            (1.2 * np.tanh(canvas / 1.2)).reshape(height, width).astype(np.float32)
        )
        return saturated


def _ellipses(
    centre_px: Matrix, axes_px: Matrix, angle: Matrix, shape_px: tuple[int, int]
) -> tuple[NDArray[np.int64], Matrix]:
    """Flat pixel indices and coverage (b, p, p) of filled ellipses whose edge is one pixel wide."""
    reach = int(np.ceil(axes_px.max())) + 1
    offset = np.arange(-reach, reach + 1)
    column = np.floor(centre_px[:, 0, None]).astype(np.int64) + offset
    row = np.floor(centre_px[:, 1, None]).astype(np.int64) + offset
    x = (column + 0.5 - centre_px[:, 0, None])[:, None, :]
    y = (row + 0.5 - centre_px[:, 1, None])[:, :, None]
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    long, short = axes_px[:, 0, None, None], axes_px[:, 1, None, None]
    radius = np.hypot((x * cosine + y * sine) / long, (y * cosine - x * sine) / short)
    ink = np.clip((1 - radius) * short + 0.5, 0, 1)
    height, width = shape_px
    outside = ((row < 0) | (row >= height))[:, :, None] | ((column < 0) | (column >= width))[:, None, :]
    flat = np.clip(row, 0, height - 1)[:, :, None] * width + np.clip(column, 0, width - 1)[:, None, :]
    return flat.ravel(), np.where(outside, 0.0, ink)
