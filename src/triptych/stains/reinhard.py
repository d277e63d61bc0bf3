"""Reinhard: means and standard deviations of a section's colours → those of a fixed reference."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from triptych.core.errors import DataError
from triptych.core.protocols import Pixels
from triptych.stains.door import check_windows, densities, tissue_of

Float32 = NDArray[np.float32]
NAME: Final = "reinhard"
SMALLEST_SD: Final = 0.5  # of a colour axis; less is the rounding of 256 values
AT_ONCE: Final = 8  # windows, so that the intermediate arrays stay small
FRACTION: Final = (np.arange(256) / 255).astype(np.float32)


@dataclass(frozen=True)
class Reinhard:
    """Reinhard et al. (2001) in CIELAB: each axis x of L*a*b* → (x - m)·s′ / s + m′.

    The mean m and standard deviation s of each axis come once from the tissue of a whole section; m′ and s′
    are those of the reference. What is lighter than tissue fades into what it was, and below half of ``beta``
    it is left alone: white stays white.

    The reference is the mean over the 16 images of breast, kidney and prostate of MoNuSeg (Kumar et al. 2017;
    haematoxylin and eosin of several hospitals at 40×), of tissue by the same rule.

    Parameters
    ----------
    means
        Of L*, a* and b* of the reference.
    sds
        Their standard deviations.
    beta
        Optical density (natural logarithm), mean of red, green and blue, from which a pixel is tissue.
    """

    means: tuple[float, float, float] = (50.1, 29.6, -17.0)
    sds: tuple[float, float, float] = (16.0, 6.9, 6.9)
    beta: float = 0.15
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Reinhard et al. 2001, doi:10.1109/38.946629"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.means).all() and 0 <= self.means[0] <= 100):
            raise ValueError(f"means must be finite, with L* from 0 to 100, got {self.means}")
        if not (np.isfinite(self.sds).all() and min(self.sds) > 0):
            raise ValueError(f"sds must be positive, got {self.sds}")
        if not 0 < self.beta < 2:
            raise ValueError(f"beta must be between 0 and 2, got {self.beta}")

    def section(self, sample: Pixels) -> Callable[[Pixels], Pixels]:
        """The function (b, h, w, 3) → (b, h, w, 3) for windows of the section of ``sample``.

        Raises
        ------
        DataError
            When the sample is no pixels, has hardly any tissue, or holds one colour only.
        """
        check_windows(NAME, sample)
        tissue = tissue_of(NAME, sample, _density(sample) >= self.beta)
        lab = rgb2lab(FRACTION[tissue])
        mean, sd = lab.mean(axis=0, dtype=np.float64), lab.std(axis=0, dtype=np.float64)
        if sd.min() < SMALLEST_SD:
            spread = ", ".join(f"{value:.2f}" for value in sd)
            raise DataError(
                f"{NAME}: the tissue has one colour; its L*, a*, b* vary by {spread} (standard deviation).",
                "There is nothing to normalise; leave this section as it is.",
            )
        gain = np.asarray(self.sds) / sd
        shift = np.asarray(self.means) - gain * mean
        return partial(self._mapped, gain=gain.astype(np.float32), shift=shift.astype(np.float32))

    def _mapped(self, windows: Pixels, gain: Float32, shift: Float32) -> Pixels:
        check_windows(NAME, windows)
        mapped = np.empty_like(windows)
        for start in range(0, len(windows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            mapped[part] = self._block(windows[part], gain, shift)
        return mapped

    def _block(self, windows: Pixels, gain: Float32, shift: Float32) -> Pixels:
        light = FRACTION[windows]
        weight = np.clip(2 / self.beta * _density(windows) - 1, 0, 1)[..., None]
        with warnings.catch_warnings():  # colours that no screen shows are clipped, as is meant
            warnings.filterwarnings("ignore", message="Conversion from CIE-LAB")
            light += weight * (lab2rgb(rgb2lab(light) * gain + shift) - light)
        pixels: Pixels = np.clip(255 * light + 0.5, 0, 255).astype(np.uint8)
        return pixels


def _density(windows: Pixels) -> Float32:
    """Optical density, mean of red, green and blue, shape (b, h, w)."""
    table: Float32 = (densities() / 3).astype(np.float32)
    density: Float32 = table[windows[..., 0]] + table[windows[..., 1]] + table[windows[..., 2]]
    return density
