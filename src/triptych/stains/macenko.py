"""Macenko: two stains found in optical densities, and put back with the colours of a fixed reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.protocols import Pixels
from triptych.stains.door import LAMP, check_windows, densities, tissue_of

Float64 = NDArray[np.float64]
NAME: Final = "macenko"
# Densities of red, green, blue (rows) of haematoxylin and eosin (columns), and the 99th percentiles of their
# amounts: the constants of Macenko's own program, which every implementation since has taken over.
REFERENCE: Final = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
AMOUNTS: Final = np.array([1.9705, 1.0308])
NARROWEST: Final = 2.0  # degrees between two stains that can be told apart
ADVICE: Final = "It takes haematoxylin and eosin to normalise them; leave this section as it is."


@dataclass(frozen=True)
class Macenko:
    """Macenko et al. (2009): stains of a section → stains of the reference.

    By the law of Beer and Lambert the densities of the stains add up, OD = S·c with OD = -ln((I + 1) / 240)
    and the densities S of haematoxylin and eosin, shape (3, 2). They are the robust extremes of the angle in
    the plane of the two largest principal components of the tissue's densities. The reference's S′ and the
    99th percentiles m′ of its amounts c then give OD′ = S′·diag(m′ / m)·S⁺·OD.

    S and m are estimated once, from the tissue of a whole section. Light beyond the lamp's (a density below
    zero) passes as it came, so that white stays white; here the original would tint it.

    Parameters
    ----------
    beta
        Density (natural logarithm) that each of red, green and blue has in tissue.
    alpha
        Percentile of the angle taken as its extreme, and 100 minus it.
    """

    beta: float = 0.15
    alpha: float = 1.0
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Macenko et al. 2009, doi:10.1109/ISBI.2009.5193250"
    extra: ClassVar[tuple[str, str]] = ("torchstain", "stains")

    def __post_init__(self) -> None:
        if not 0 < self.beta < 2:
            raise ValueError(f"beta must be between 0 and 2, got {self.beta}")
        if not 0 <= self.alpha < 50:
            raise ValueError(f"alpha must be from 0 to less than 50, got {self.alpha}")

    def section(self, sample: Pixels) -> Callable[[Pixels], Pixels]:
        """The function (b, h, w, 3) → (b, h, w, 3) for windows of the section of ``sample``.

        Raises
        ------
        DataError
            When the sample is no pixels, has hardly any tissue, or holds one colour only.
        MissingExtraError
            When torchstain is not installed.
        """
        check_windows(NAME, sample)
        dense = np.all((densities() >= self.beta)[sample], axis=-1)
        stains, amounts = self._estimate(tissue_of(NAME, sample, dense))
        tables = _tables(REFERENCE @ np.diag(AMOUNTS / amounts) @ np.linalg.pinv(stains))
        return partial(_mapped, tables=tables)

    def _estimate(self, tissue: Pixels) -> tuple[Float64, Float64]:
        """Densities of the two stains, shape (3, 2), and the 99th percentile of their amounts, shape (2,)."""
        torchstain = need("torchstain", "stains")
        if (tissue == tissue[0]).all():
            raise DataError(f"{NAME}: the tissue has one colour, {tissue[0].tolist()}.", ADVICE)
        with threadpool_limits(1):  # the same bits on any number of cores
            found = torchstain.normalizers.MacenkoNormalizer(backend="numpy")
            found.fit(tissue[:, None], Io=LAMP, alpha=self.alpha, beta=self.beta)
        stains, amounts = np.asarray(found.HERef), np.asarray(found.maxCRef)
        angle = np.degrees(np.arccos(np.clip(stains[:, 0] @ stains[:, 1], -1, 1)))
        if angle < NARROWEST:
            raise DataError(
                f"{NAME}: the tissue has one stain; the two found are {angle:.1f}° apart.", ADVICE
            )
        if amounts.min() <= 0:
            raise DataError(f"{NAME}: one of the two stains found occurs nowhere in the tissue.", ADVICE)
        return stains, amounts


def _tables(matrix: Float64) -> NDArray[np.float32]:
    """What a value of one channel adds to the logarithm of another, shape (3 out, 3 in, 256).

    A map that is linear in densities is a sum of three looked-up numbers.
    """
    density = densities()
    tables = -matrix[:, :, None] * np.maximum(density, 0)
    channel = np.arange(3)
    tables[channel, channel] += np.log(LAMP) - np.minimum(density, 0)
    return tables.astype(np.float32)


def _mapped(windows: Pixels, tables: NDArray[np.float32]) -> Pixels:
    check_windows(NAME, windows)
    mapped = np.empty_like(windows)
    for channel, (red, green, blue) in enumerate(tables):
        light = red[windows[..., 0]]
        light += green[windows[..., 1]]
        light += blue[windows[..., 2]]
        np.exp(light, out=light)
        light -= 0.5  # of I + 1, to the nearest I
        mapped[..., channel] = np.clip(light, 0, 255, out=light)
    return mapped
