"""Numbers that describe a batch of windows; every function works on the whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from triptych.core.protocols import Pixels

Planes = NDArray[np.float32]  # (b, h, w)
Numbers = NDArray[np.float32]  # (b, d)

# Optical density of red, green and blue light in haematoxylin, eosin and DAB (Ruifrok and Johnston 2001).
STAINS: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_UNMIX: Final = np.linalg.inv(STAINS)[:, :2].astype(np.float32)
_DENSITY: Final = (-np.log10(np.maximum(np.arange(256), 1) / 255)).astype(np.float32)


def stains(pixels: Pixels) -> tuple[Planes, Planes, Planes]:
    """Haematoxylin, eosin and total optical density of each pixel, each of shape (b, h, w).

    The optical density is -log10(I / 255), with I at least 1; the stains solve density =
    stains · `STAINS`. They are not clipped: a negative amount says that the colour is none of these stains'.
    """
    colours: list[Planes] = [np.take(_DENSITY, pixels[..., k]) for k in range(3)]
    haematoxylin, eosin = (
        colours[0] * column[0] + colours[1] * column[1] + colours[2] * column[2] for column in _UNMIX.T
    )
    return haematoxylin, eosin, (colours[0] + colours[1] + colours[2]) / np.float32(3)


def moments(planes: Planes) -> Numbers:
    """Mean and standard deviation, shape (b, 2)."""
    flat = planes.reshape(len(planes), -1)
    return np.stack([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def quantiles(planes: Planes, at: Sequence[float]) -> Numbers:
    """Quantiles without interpolation (the lower neighbour), shape (b, len(at))."""
    flat = planes.reshape(len(planes), -1)
    ranks = [int(q * (flat.shape[1] - 1)) for q in at]
    return np.partition(flat, ranks, axis=1)[:, ranks]


def colours(pixels: Pixels, at: Sequence[float]) -> Numbers:
    """Means, standard deviations and quantiles of red, green and blue in 0 … 1, shape (b, 6 + 3 · len(at)).

    A quantile is the lowest level at which its share is reached; red's stand first, then green's and blue's.
    """
    histogram = _histograms(pixels)
    level = np.arange(256) / 255
    mean = histogram @ level
    spread = np.sqrt(np.maximum(histogram @ level**2 - mean**2, 0))
    share = np.cumsum(histogram, axis=2)
    found = np.stack([(share < q - 1e-9).sum(axis=2) / 255 for q in at], axis=2)
    return np.concatenate([mean, spread, found.reshape(len(pixels), -1)], axis=1).astype(np.float32)


def _histograms(pixels: Pixels) -> NDArray[np.float64]:
    """Share of the pixels at each level of each colour, shape (b, 3, 256)."""
    number = pixels.shape[1] * pixels.shape[2]
    offset = 256 * np.arange(3 * len(pixels)).reshape(-1, 1, 1, 3)
    counts = np.bincount((pixels + offset).ravel(), minlength=768 * len(pixels))
    shares: NDArray[np.float64] = counts.reshape(len(pixels), 3, 256) / number
    return shares


def correlation(one: Planes, other: Planes) -> Numbers:
    """Pearson correlation over the pixels, 0 where one of them is constant; shape (b, 1)."""
    a, b = (plane.reshape(len(plane), -1) for plane in (one, other))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))
    product = np.einsum("ij,ij->i", a, b)
    varied = norm > 1e-6 * a.shape[1]
    return np.where(varied, product / np.where(varied, norm, 1), 0).astype(np.float32)[:, None]


def block_means(planes: Planes, side: int) -> Planes:
    """Means of blocks of side × side; what is left at the right and below is cut off."""
    height, width = (length // side * side for length in planes.shape[1:])
    total: Planes = planes[:, 0:height:side, :width].copy()
    for row in range(1, side):
        total += planes[:, row:height:side, :width]
    summed: Planes = total[:, :, 0::side].copy()
    for column in range(1, side):
        summed += total[:, :, column::side]
    means: Planes = summed / np.float32(side**2)
    return means


def gradient_energy(planes: Planes, side: int) -> Numbers:
    """Mean squared difference of neighbours, after averaging blocks of side × side; shape (b, 1)."""
    coarse = block_means(planes, side) if side > 1 else planes
    down, right = np.diff(coarse, axis=1), np.diff(coarse, axis=2)
    energy: Numbers = (down**2).mean(axis=(1, 2)) + (right**2).mean(axis=(1, 2))
    return energy[:, None]


def local_variance(planes: Planes, side: int) -> Numbers:
    """Mean and standard deviation of the variance within blocks of side × side, shape (b, 2)."""
    variance = block_means(planes**2, side) - block_means(planes, side) ** 2
    return moments(np.maximum(variance, 0))


def quantised(planes: Planes, levels: int, top: float) -> NDArray[np.uint8]:
    """Levels 0 … levels - 1 of equal width between 0 and ``top``."""
    codes: NDArray[np.uint8] = np.clip(planes * (levels / top), 0, levels - 1).astype(np.uint8)
    return codes


def cooccurrence(codes: NDArray[np.uint8], levels: int, distance: int) -> Numbers:
    """Contrast, homogeneity and energy of neighbours to the right and below; shape (b, 3).

    With p_ij the symmetric share of neighbours at levels i and j: Σ p (i-j)², Σ p / (1 + (i-j)²) and √Σ p²,
    each averaged over the two directions (Haralick et al. 1973).
    """
    pairs = (
        (codes[:, :, :-distance], codes[:, :, distance:]),
        (codes[:, :-distance], codes[:, distance:]),
    )
    step = np.arange(levels)
    apart = (step[:, None] - step) ** 2.0
    total = np.zeros((len(codes), 3))
    for one, other in pairs:
        share = _shares(one, other, levels)
        total[:, 0] += (share * apart).sum(axis=(1, 2))
        total[:, 1] += (share / (1 + apart)).sum(axis=(1, 2))
        total[:, 2] += np.sqrt((share**2).sum(axis=(1, 2)))
    return (total / 2).astype(np.float32)


def _shares(one: NDArray[np.uint8], other: NDArray[np.uint8], levels: int) -> NDArray[np.float64]:
    """Symmetric co-occurrence matrices that sum to 1, shape (b, levels, levels)."""
    b, size = len(one), levels * levels
    window = size * np.arange(b).reshape(-1, 1, 1)
    pair = (one.astype(np.uint16) * np.uint16(levels) + other).astype(np.intp) + window
    counts = np.bincount(pair.ravel(), minlength=b * size).reshape(b, levels, levels)
    both = counts + counts.swapaxes(1, 2)
    shares: NDArray[np.float64] = both / both.sum(axis=(1, 2), keepdims=True)
    return shares


def blobs(planes: Planes, width: int, rise: float) -> NDArray[np.bool_]:
    """Where a blob about ``width`` pixels wide has its peak, shape (b, h, w).

    A peak is the highest value within a square of side ``width`` of the smoothed plane minus its mean
    over a square three times as wide, and rises above 0 by ``rise``.
    """
    smooth = planes
    for axis in (1, 2):
        smooth = gaussian_filter1d(smooth, width / 4, axis=axis, truncate=2.0)
    ground = smooth
    for axis in (1, 2):
        ground = uniform_filter1d(ground, 3 * width, axis=axis)
    risen = smooth - ground
    highest = risen
    for axis in (1, 2):
        highest = maximum_filter1d(highest, width, axis=axis)
    peaks: NDArray[np.bool_] = (risen == highest) & (risen > rise)
    return peaks
