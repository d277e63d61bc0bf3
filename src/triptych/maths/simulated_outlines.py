"""Outlines as another picture of a section gives them: displaced, uncertain, some lost, some spurious."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import Instances, Outlines
from triptych.core.protocols import Codes, Indices, Matrix
from triptych.maths.polygons import centroids_px
from triptych.maths.simulated_dials import Warp

WAVES: Final = 5  # around a nucleus, by which an outline is uncertain: size, place, and three of shape
STEEPEST: Final = 0.7  # natural logarithm of the factor by which a radius may change


@dataclass(frozen=True)
class Displacement:
    """From the picture's pixels to where the other instrument puts them: centre + scale·(p − centre) + shift.

    Parameters
    ----------
    dx_px, dy_px
        The shift of the centre.
    scale
        1 where nothing is stretched.
    centre_px
        Of the picture, x and y.
    """

    dx_px: float
    dy_px: float
    scale: float
    centre_px: tuple[float, float]

    def moved(self, px: Matrix) -> Matrix:
        """Places in pixels after it, shape (n, 2)."""
        centre = np.asarray(self.centre_px)
        moved: Matrix = centre + self.scale * (px - centre) + (self.dx_px, self.dy_px)
        return moved


def drawn_displacement(
    warp: Warp, size_px: tuple[int, int], *, mpp: float, rng: np.random.Generator
) -> Displacement:
    """The displacement of one section: any direction, any length up to the farthest.

    Parameters
    ----------
    warp
        Of these, the shift and the scale.
    size_px
        Width and height of the picture.
    mpp
        Micrometres per pixel.
    rng
        Draws it.
    """
    angle, way, scale = rng.uniform(0, 2 * np.pi), rng.uniform(0, warp.shift_um / mpp), rng.uniform(-1, 1)
    centre = (size_px[0] / 2, size_px[1] / 2)
    return Displacement(
        float(way * np.cos(angle)), float(way * np.sin(angle)), 1 + warp.scale * float(scale), centre
    )


def picked(outlines: Outlines, rings: Indices) -> Outlines:
    """Some rings, in their order.

    Parameters
    ----------
    outlines
        m rings.
    rings
        Their numbers, each as often as it is wanted.
    """
    lengths = np.diff(outlines.first)[rings]
    first = np.append(0, np.cumsum(lengths)).astype(np.int64)
    vertex = np.arange(first[-1]) + np.repeat(outlines.first[rings] - first[:-1], lengths)
    return Outlines(outlines.px[vertex], first, outlines.row[rings])


def jittered(outlines: Outlines, jitter_px: float, rng: np.random.Generator) -> Outlines:
    """Each outline drawn again by an uncertain hand.

    The radius from the centroid is multiplied by exp(f(θ)/R), R the mean radius, f a sum of waves around the
    nucleus with the standard deviation ``jitter_px``. This maps the plane onto itself one to one, so that
    no ring begins to cross itself.

    Parameters
    ----------
    outlines
        m rings around nuclei.
    jitter_px
        Standard deviation in pixels.
    rng
        Draws amplitudes and phases, each of shape (m, 5).
    """
    if jitter_px == 0 or not len(outlines.row):
        return outlines
    ring = np.repeat(np.arange(len(outlines.row)), np.diff(outlines.first))
    centre = centroids_px(outlines)
    away = outlines.px - centre[ring]
    mean = np.bincount(ring, np.hypot(*away.T)) / np.bincount(ring)
    height = rng.normal(0, jitter_px * np.sqrt(2 / WAVES), (len(mean), WAVES))
    height[:, 0] /= np.sqrt(2)  # a constant has the variance of its height, a wave half of it
    phase = rng.uniform(0, 2 * np.pi, height.shape)
    phase[:, 0] = 0
    turns = np.arange(WAVES) * np.arctan2(away[:, 1], away[:, 0])[:, None] + phase[ring]
    wave = np.sum(height[ring] * np.cos(turns), axis=1) / np.maximum(mean[ring], 1)
    px = centre[ring] + away * np.exp(np.clip(wave, -STEEPEST, STEEPEST))[:, None]
    return replace(outlines, px=px.astype(np.float32))


def spurious_of(outlines: Outlines, instances: Instances, number: int, rng: np.random.Generator) -> Outlines:
    """Copies of some outlines, put where there is background; none of them is a nucleus (row -1).

    Parameters
    ----------
    outlines
        To copy.
    instances
        Shape (h, w): 0 = background.
    number
        How many; none where there is nothing to copy, or no background.
    rng
        Draws which, and the pixels of their centres.
    """
    ground = np.flatnonzero(instances.ravel() == 0)
    number = number if len(outlines.row) and len(ground) else 0
    which = rng.integers(len(outlines.row), size=number) if number else np.zeros(0, np.int64)
    y, x = np.divmod(rng.choice(ground, number) if number else which, instances.shape[1])
    copies = picked(outlines, which)
    away = np.column_stack([x, y]) + 0.5 - (centroids_px(outlines)[which] if number else 0)
    px = copies.px + np.repeat(away, np.diff(copies.first), axis=0)
    return Outlines(px.astype(np.float32), copies.first, np.full(number, -1, np.int64))


def joined(one: Outlines, other: Outlines) -> Outlines:
    """The rings of both."""
    first = np.append(one.first, other.first[1:] + one.first[-1])
    return Outlines(np.vstack([one.px, other.px]), first, np.append(one.row, other.row))


def shapes(instances: Instances, grey: NDArray[np.floating]) -> tuple[Matrix, Matrix, Matrix]:
    """Area in pixels, elongation and darkness of each nucleus, each of shape (n,).

    Elongation is the ratio of the standard deviations along both main axes; darkness is how much darker than
    the whole picture a nucleus is on average, as a share.

    Parameters
    ----------
    instances
        Shape (h, w): 0 = background, 1 … n without gaps.
    grey
        Brightness, shape (h, w).
    """
    inside = np.flatnonzero(instances.ravel())
    label = instances.ravel()[inside] - 1
    y, x = np.divmod(inside, instances.shape[1])
    area = np.bincount(label).astype(float)

    def mean(values: Matrix) -> Matrix:
        of_each: Matrix = np.bincount(label, values) / area
        return of_each

    dx, dy = x - mean(x)[label], y - mean(y)[label]
    xx, yy, xy = mean(dx * dx) + 1 / 12, mean(dy * dy) + 1 / 12, mean(dx * dy)  # 1/12: of a pixel's own width
    half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    dark = 1 - mean(grey.ravel()[inside]) / grey.mean()
    return area, np.sqrt((half + root) / np.maximum(half - root, 1 / 12)), dark


def patch_of(centres: Matrix, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The nearest nuclei around one of them, a share of all, shape (n,).

    Parameters
    ----------
    centres
        Shape (n, 2).
    share
        From 0 to 1.
    rng
        Draws around which.
    """
    inside = np.zeros(len(centres), bool)
    if len(centres) and share > 0:
        away = np.sum((centres - centres[rng.integers(len(centres))]) ** 2, axis=1)
        inside[np.argsort(away, kind="stable")[: round(share * len(centres))]] = True
    return inside


def types_by_shape(area_um2: Matrix, elongation: Matrix, darkness: Matrix) -> Codes:
    """A stand-in for types nobody knows: 0 small, round and dark; 1 elongated; 2 any other; shape (n,)."""
    small = (area_um2 < 17) & (elongation < 1.6) & (darkness > 0.25)
    return np.where(small, 0, np.where(elongation > 2.0, 1, 2))
