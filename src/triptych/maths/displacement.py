"""By how much one picture lies beside another: normalised cross-correlation, and how far its peak stands out.

With the moving picture m (mean 0, zero outside of a part) and the fixed one f on the same pixels,

    NCC(d) = Σ_x m(x) f(x + d) / (‖m‖ ‖f‖ √(pixels of the part / pixels of f)),

by fast Fourier transform for all displacements d at once, with f continued periodically. Displacements that
are too large to be true say what chance gives: z(d) = (NCC(d) - their mean) / their standard deviation. Where
few nuclei lie in clumps, chance has a heavier tail than a Gaussian; then its 99.9th percentile, which of a
Gaussian is 3.09 standard deviations from the mean, counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

Plane: TypeAlias = NDArray[np.float32]
APART: Final = 2  # times the largest displacement searched: from there on displacements are chance
TAIL: Final = (99.9, 3.09)  # percentile of chance, and where a Gaussian has it
LEAST_CHANCE: Final = 256  # displacements that chance is measured on


@dataclass(frozen=True, eq=False)
class Surface:
    """How well two pictures match at each displacement.

    Parameters
    ----------
    z
        In standard deviations of chance, shape (2r + 1, 2r + 1); no displacement is in the middle, rows are
        along y. NaN where chance is not known.
    """

    z: NDArray[np.float64]

    @property
    def reach(self) -> int:
        """The largest displacement searched, r, in pixels."""
        return len(self.z) // 2

    def peak(self) -> tuple[float, float, bool]:
        """The displacement with the largest z along x and y, and whether it lies inside the range searched.

        Between pixels it is where the quadratic in x and y has its top that fits 3 × 3 values best.
        """
        if not np.isfinite(self.z).all():
            return np.nan, np.nan, False
        row, column = (int(at) for at in np.unravel_index(self.z.argmax(), self.z.shape))
        dx, dy = float(column - self.reach), float(row - self.reach)
        if not (0 < row < 2 * self.reach and 0 < column < 2 * self.reach):
            return dx, dy, False
        x, y = _top(self.z[row - 1 : row + 2, column - 1 : column + 2])
        return dx + x, dy + y, True

    def at(self, dx: float, dy: float) -> float:
        """The value z at a displacement, linear between pixels; NaN beyond the range searched."""
        if not (np.isfinite([dx, dy]).all() and max(abs(dx), abs(dy)) <= self.reach):
            return np.nan
        return float(map_coordinates(self.z, [[dy + self.reach], [dx + self.reach]], order=1)[0])


def band_passed(plane: Plane, fine_px: float, coarse_px: float) -> Plane:
    """What is coarser than one and finer than another Gaussian, by their standard deviations in pixels."""
    passed: Plane = gaussian_filter(plane, fine_px) - gaussian_filter(plane, coarse_px)
    return passed


def matched(fixed: Plane, moving: Plane, reach: int) -> Surface:
    """The surface z of displacements up to some pixels along x and y.

    Parameters
    ----------
    fixed, moving
        Pictures of the same pixels, shape (h, w). Of ``moving`` only what lies ``reach`` pixels or more
        inside is used, so that no displacement of the range leaves the picture.
    reach
        The largest displacement in pixels, at least 1; both sides are longer than twice as many.
    """
    inner = np.zeros_like(moving)
    part = (slice(reach, moving.shape[0] - reach), slice(reach, moving.shape[1] - reach))
    inner[part] = moving[part] - moving[part].mean()
    fixed = fixed - fixed.mean()
    shape = tuple(next_fast_len(side, real=True) for side in fixed.shape)
    product = irfft2(rfft2(fixed, s=shape) * np.conj(rfft2(inner, s=shape)), s=shape).astype(np.float64)
    norm = np.sqrt(np.square(inner).sum(dtype=float) * np.square(fixed).mean(dtype=float) * moving[part].size)
    if not norm > 0:  # nothing there
        return Surface(np.full((2 * reach + 1, 2 * reach + 1), np.nan))
    return Surface(_standardised(product / norm, reach))


def _standardised(ncc: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The part within reach, by the mean and the width of what is far beyond."""
    far = [np.minimum(np.arange(side), side - np.arange(side)) > APART * reach for side in ncc.shape]
    chance = ncc[far[0][:, None] | far[1][None, :]]
    near = np.arange(-reach, reach + 1)
    if chance.size < LEAST_CHANCE:
        return np.full((len(near), len(near)), np.nan)
    percentile, deviations = TAIL
    width = max(chance.std(), (np.percentile(chance, percentile) - chance.mean()) / deviations)
    found: NDArray[np.float64] = (ncc[np.ix_(near, near)] - chance.mean()) / width
    return found


def _top(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the quadratic that fits 3 × 3 values by least squares is largest; at most one pixel away."""
    across, down = np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0])
    gx, gy = float((across * values).sum() / 6), float((down * values).sum() / 6)
    xx, yy = (float(((3 * np.square(one) - 2) * values).sum() / 3) for one in (across, down))
    xy = float((across * down * values).sum() / 4)
    determinant = xx * yy - xy * xy
    if not (determinant > 0 and xx < 0):
        return 0.0, 0.0
    x, y = (xy * gy - yy * gx) / determinant, (xy * gx - xx * gy) / determinant
    return float(np.clip(x, -1, 1)), float(np.clip(y, -1, 1))
