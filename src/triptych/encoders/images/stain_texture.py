"""Colours, stains and textures of windows: an image encoder without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np

from triptych.core.protocols import Matrix, Pixels, WindowEncoder
from triptych.encoders.images import textures

QUANTILES: Final = (0.1, 0.5, 0.9)
SCALES: Final = (1, 2, 4)  # px, of the gradients
DISTANCES: Final = (1, 4)  # px, of co-occurring pixels
LEVELS: Final = 8
DARKEST: Final = 1.6  # optical density at which haematoxylin is as dark as it is told apart
TISSUE: Final = 0.08  # mean optical density above which a pixel is tissue
NUCLEAR: Final = 0.5  # haematoxylin above which a pixel is nucleus
RISE: Final = 0.15  # haematoxylin by which a nucleus stands out
NUCLEUS_UM: Final = 7.0
BLOCK_UM: Final = 10.0
AT_ONCE: Final = 8  # windows, so that the intermediate arrays stay in the cache of the processor
SMALLEST_PX, LARGEST_PX = 16, 1024


def _named() -> tuple[str, ...]:
    levels = [f"q{round(100 * q)}" for q in QUANTILES]
    colours = ("red", "green", "blue")
    return (
        *(f"{colour}_{what}" for what in ("mean", "sd") for colour in colours),
        *(f"{colour}_{level}" for colour in colours for level in levels),
        *(f"{stain}_{what}" for stain in ("h", "e") for what in ("mean", "sd", *levels)),
        "h_e_correlation",
        *(f"h_gradient_{scale}px" for scale in SCALES),
        "h_local_variance_mean",
        "h_local_variance_sd",
        *(f"h_{what}_{d}px" for d in DISTANCES for what in ("contrast", "homogeneity", "energy")),
        "tissue_share",
        "nuclear_share",
        "nuclei_per_1000um2",
    )


@dataclass(frozen=True)
class StainTexture:
    """Forty numbers: colours, haematoxylin and eosin, gradients, co-occurrence, and nuclei.

    The stains come from the optical densities of Ruifrok and Johnston (2001), the co-occurrence from
    Haralick et al. (1973). They are raw: the stain of each section is left to the aligners.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    mpp
        Micrometres per pixel to which windows are resampled.
    """

    window_um: float = 150.0
    mpp: float = 1.0
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Ruifrok and Johnston 2001; Haralick et al. 1973, doi:10.1109/TSMC.1973.4309314"
    takes: ClassVar[Literal["windows"]] = "windows"
    names: ClassVar[tuple[str, ...]] = _named()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.window_um) and np.isfinite(self.mpp) and min(self.window_um, self.mpp) > 0):
            raise ValueError(f"window_um and mpp must be positive, got {self.window_um} and {self.mpp}")
        if not SMALLEST_PX <= self.tile_px <= LARGEST_PX:
            raise ValueError(
                f"window_um / mpp must be from {SMALLEST_PX} to {LARGEST_PX} px, got {self.tile_px}"
            )

    @property
    def tile_px(self) -> int:
        """Side of the arrays received."""
        return round(self.window_um / self.mpp)

    def load(self, device: str) -> WindowEncoder:
        """The function (b, h, w, 3) → (b, 40); it runs on the processor whatever the device."""
        return self.encode

    def encode(self, pixels: Pixels) -> Matrix:
        """Numbers of each window, float32, shape (b, 40), columns as in ``names``."""
        out = np.empty((len(pixels), len(self.names)), np.float32)
        for start in range(0, len(pixels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            out[part] = self._numbers(pixels[part])
        return out

    def _numbers(self, pixels: Pixels) -> textures.Numbers:
        haematoxylin, eosin, density = textures.stains(pixels)
        codes = textures.quantised(haematoxylin, LEVELS, DARKEST)
        block = min(max(2, round(BLOCK_UM / self.mpp)), pixels.shape[1] // 2)
        columns = [textures.colours(pixels, QUANTILES)]
        for stain in (haematoxylin, eosin):
            columns += [textures.moments(stain), textures.quantiles(stain, QUANTILES)]
        columns.append(textures.correlation(haematoxylin, eosin))
        columns += [textures.gradient_energy(haematoxylin, scale) for scale in SCALES]
        columns.append(textures.local_variance(haematoxylin, block))
        columns += [textures.cooccurrence(codes, LEVELS, distance) for distance in DISTANCES]
        columns += [_share(density > TISSUE), _share(haematoxylin > NUCLEAR), self._nuclei(haematoxylin)]
        return np.concatenate(columns, axis=1)

    def _nuclei(self, haematoxylin: textures.Planes) -> textures.Numbers:
        """Peaks of haematoxylin per 1000 µm² of window, shape (b, 1)."""
        width = max(3, round(NUCLEUS_UM / self.mpp))
        peaks = textures.blobs(haematoxylin, width, RISE)
        return _share(peaks) * np.float32(1000 / self.mpp**2)


def _share(mask: np.ndarray) -> textures.Numbers:
    """Share of the pixels, shape (b, 1)."""
    share: textures.Numbers = mask.mean(axis=(1, 2), dtype=np.float32)[:, None]
    return share
