"""Stains of cells that differ in texture alone: every cell has the same grey values, in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from triptych.core.protocols import Codes, Matrix, Vector

TEXTURES: Final = ("smooth", "left", "right")
REACH_PX: Final = 17  # half the side of a patch that holds a cell
ARMS: Final = 3  # of a whorl
TWIST: Final = 3.0  # radians that an arm turns from the centre to the rim
GROUND, GREY, SPREAD, NOISE = 300.0, 2000.0, 500.0, 40.0  # of 16 bits
NUCLEUS: Final = 0.5  # of the cell's radius
AT_ONCE: Final = 4096  # cells painted together


@dataclass(frozen=True, eq=False)
class Shapes:
    """Outlines of n cells: ellipses.

    Parameters
    ----------
    centre_px
        x and y, shape (n, 2); the pixel i covers [i, i + 1).
    radius_px
        Of the circle of the same area, shape (n,).
    aspect
        Long by short axis, shape (n,).
    angle
        Of the long axis, shape (n,).
    """

    centre_px: Matrix
    radius_px: Vector
    aspect: Vector
    angle: Vector

    def place(self, cell: Codes, unit: Matrix) -> Matrix:
        """Points of the unit circle (m, 2) in pixels, each inside its cell (m,)."""
        stretch = np.sqrt(self.aspect[cell])
        x = unit[:, 0] * self.radius_px[cell] * stretch
        y = unit[:, 1] * self.radius_px[cell] / stretch
        cosine, sine = np.cos(self.angle[cell]), np.sin(self.angle[cell])
        return self.centre_px[cell] + np.column_stack([x * cosine - y * sine, x * sine + y * cosine])

    def unit(self, cell: Codes, offset: Matrix) -> Matrix:
        """The inverse of `place` for offsets from the centres, shapes (k, p, p, 2)."""
        stretch = np.sqrt(self.aspect[cell])[:, None, None]
        radius = self.radius_px[cell][:, None, None]
        cosine, sine = np.cos(self.angle[cell])[:, None, None], np.sin(self.angle[cell])[:, None, None]
        long = offset[..., 0] * cosine + offset[..., 1] * sine
        short = offset[..., 1] * cosine - offset[..., 0] * sine
        return np.stack([long / (radius * stretch), short * stretch / radius], axis=-1)


def paint(
    shapes: Shapes, texture: Codes, side_px: int, rng: np.random.Generator
) -> dict[str, NDArray[np.uint16]]:
    """A nuclear stain that looks alike in all cells, and one of the whole cell with its texture.

    Parameters
    ----------
    shapes
        Of the cells, which must not overlap.
    texture
        Code in `TEXTURES` of each cell, shape (n,).
    side_px
        Of the square image.
    rng
        Draws the textures and the noise of the camera.
    """
    nuclei, bodies = (np.full((side_px, side_px), GROUND) for _ in range(2))
    for start in range(0, len(texture), AT_ONCE):
        cell = np.arange(start, min(start + AT_ONCE, len(texture)))
        column, row = _windows(shapes.centre_px[cell])
        offset = np.stack(np.broadcast_arrays(column + 0.5, row + 0.5), axis=-1)
        unit = shapes.unit(cell, offset - shapes.centre_px[cell][:, None, None])
        inside = np.hypot(unit[..., 0], unit[..., 1])
        pattern = _patterns(unit, texture[cell], rng)
        where, at = inside <= 1, np.broadcast_arrays(row, column)
        body = GREY + SPREAD * _normal_scores(pattern, where)
        bodies[at[0][where], at[1][where]] = body[where]
        core = inside <= NUCLEUS
        nuclei[at[0][core], at[1][core]] = GREY * (1.2 - (inside[core] / NUCLEUS) ** 2 / 2)
    return {"DAPI": _photograph(nuclei, rng), "Membrane": _photograph(bodies, rng)}


def _windows(centre_px: Matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns (k, 1, p) and rows (k, p, 1) of the patches around the cells."""
    first = np.floor(centre_px).astype(np.int64) - REACH_PX
    steps = np.arange(2 * REACH_PX + 1)
    return (first[:, :1] + steps)[:, None, :], (first[:, 1:] + steps)[:, :, None]


def _patterns(unit: Matrix, texture: Codes, rng: np.random.Generator) -> Matrix:
    """Smooth: a slope; left and right: whorls that are each other's mirror image; each turned at random.

    Statistics of grey values, of their neighbours in all directions and of distances from the centre are the
    same of a whorl and its mirror image.
    """
    turn = rng.uniform(0, 2 * np.pi, len(unit))[:, None, None]
    radius, angle = np.hypot(unit[..., 0], unit[..., 1]), np.arctan2(unit[..., 1], unit[..., 0]) - turn
    slope = radius * np.cos(angle)
    hand = np.where(texture == TEXTURES.index("left"), -1, 1)[:, None, None]
    whorl = radius * np.cos(ARMS * angle + hand * TWIST * radius)
    return np.where(texture[:, None, None] == 0, slope, whorl)


def _normal_scores(pattern: Matrix, where: NDArray[np.bool_]) -> Matrix:
    """Each cell's values replaced by the quantiles of a normal distribution, in their order."""
    flat, kept = pattern.reshape(len(pattern), -1), where.reshape(len(where), -1)
    order = np.argsort(np.where(kept, flat, np.inf), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
    share = (rank + 0.5) / kept.sum(axis=1, keepdims=True)
    scores: Matrix = ndtri(np.clip(share, 1e-6, 1 - 1e-6)).reshape(pattern.shape)
    return scores


def _photograph(light: Matrix, rng: np.random.Generator) -> NDArray[np.uint16]:
    return np.clip(np.rint(light + NOISE * rng.standard_normal(light.shape)), 0, 65535).astype(np.uint16)
