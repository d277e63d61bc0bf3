"""Stained nuclei, painted tile by tile: any part of a slide of any size, without the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix, Pixels, Vector
from triptych.readers.toy.stain import GLASS, NOISE, Stain

WAVES: Final = 6


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Ellipses in pixels.

    Parameters
    ----------
    centre
        x and y, shape (m, 2).
    axes
        Long and short half axis, shape (m, 2).
    angle
        Of the long axis, shape (m,).
    dark
        Optical density of haematoxylin, shape (m,).
    """

    centre: Matrix
    axes: Matrix
    angle: Vector
    dark: Vector

    def near(self, row: int, column: int, height: int, width: int) -> Codes:
        """Which of them may touch the tile."""
        reach = float(self.axes[:, 0].max(initial=0)) + 2
        x, y = self.centre.T
        inside = (x > column - reach) & (x < column + width + reach)
        inside &= (y > row - reach) & (y < row + height + reach)
        return np.flatnonzero(inside)

    def density(self, row: int, column: int, height: int, width: int) -> NDArray[np.float32]:
        """Optical density of haematoxylin in a tile, shape (height, width); saturates in overlaps."""
        which = self.near(row, column, height, width)
        canvas = np.zeros(height * width)
        if len(which):
            flat, ink = self._ink(which, (row, column), (height, width))
            canvas += np.bincount(flat, ink, minlength=canvas.size)
        return (1.2 * np.tanh(canvas / 1.2)).reshape(height, width).astype(np.float32)

    def _ink(self, which: Codes, start: tuple[int, int], size: tuple[int, int]) -> tuple[Codes, Vector]:
        """Flat pixels of the tile under these nuclei, and their density."""
        reach = int(np.ceil(self.axes[which, 0].max())) + 1
        offset = np.arange(-reach, reach + 1)
        centre = self.centre[which] - np.array(start)[::-1]
        x = np.floor(centre[:, :1]).astype(np.int64) + offset
        y = np.floor(centre[:, 1:]).astype(np.int64) + offset
        dx = (x + 0.5 - centre[:, :1])[:, None, :]
        dy = (y + 0.5 - centre[:, 1:])[:, :, None]
        cosine, sine = np.cos(self.angle[which])[:, None, None], np.sin(self.angle[which])[:, None, None]
        long, short = self.axes[which, 0, None, None], self.axes[which, 1, None, None]
        radius = np.hypot((dx * cosine + dy * sine) / long, (dy * cosine - dx * sine) / short)
        ink = np.clip((1 - radius) * short + 0.5, 0, 1) * self.dark[which, None, None]
        hit = ink > 0
        hit &= ((y >= 0) & (y < size[0]))[:, :, None] & ((x >= 0) & (x < size[1]))[:, None, :]
        flat = y[:, :, None] * size[1] + x[:, None, :]
        return flat[hit], ink[hit]


@dataclass(frozen=True, eq=False)
class Slide:
    """A slide that is painted where one looks.

    Parameters
    ----------
    nuclei
        In pixels of the slide.
    to_unit
        Pixels (x, y, 1) → tissue in units of its half width, shape (3, 3); beyond -1 … 1 is glass.
    waves
        Frequency (2), phase and amplitude of the waves of eosin, shape (WAVES, 4).
    stain
        Colours and strengths.
    seed
        Of the camera's noise, which is drawn for each tile by its place.
    """

    nuclei: Nuclei
    to_unit: Matrix
    waves: Matrix
    stain: Stain
    seed: int

    @staticmethod
    def draw_waves(rng: np.random.Generator) -> Matrix:
        """Slow waves of eosin across the tissue."""
        columns = (rng.normal(0, 6, (WAVES, 2)), rng.uniform(0, 2 * np.pi, (WAVES, 1)))
        return np.hstack([*columns, np.full((WAVES, 1), 0.03)])

    def tile(self, row: int, column: int, height: int, width: int) -> Pixels:
        """Pixels of a part, shape (height, width, 3)."""
        haematoxylin = self.nuclei.density(row, column, height, width)
        eosin = self._eosin(row, column, height, width)
        weight = (-np.log(10) * self.stain.strength[:, None] * self.stain.colours).astype(np.float32)
        rng = np.random.default_rng([self.seed, row, column])
        noise = NOISE * rng.standard_normal((height, width), dtype=np.float32)
        density = haematoxylin[..., None] * weight[0] + eosin[..., None] * weight[1]
        light = np.rint(GLASS * np.exp(density) + noise[..., None])
        pixels: Pixels = np.clip(light, 0, 255, out=light).astype(np.uint8)
        return pixels

    def _eosin(self, row: int, column: int, height: int, width: int) -> NDArray[np.float32]:
        x, y = np.arange(column, column + width) + 0.5, np.arange(row, row + height) + 0.5
        a = self.to_unit
        u = (a[0, 0] * x + a[0, 2])[None, :] + (a[0, 1] * y)[:, None]
        v = (a[1, 0] * x + a[1, 2])[None, :] + (a[1, 1] * y)[:, None]
        level = np.full(u.shape, 0.27)
        for across, down, phase, amplitude in self.waves:
            level += amplitude * np.cos(across * u + down * v + phase)
        inside = (np.abs(u) <= 1) & (np.abs(v) <= 1)
        return np.where(inside, level, 0).astype(np.float32)
