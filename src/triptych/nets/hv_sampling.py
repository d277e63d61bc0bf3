"""Which labelled tiles a training sees how often, and how much each class weighs; both from the tiles alone.

With β the strength of the balance, 0 for none and 1 for all,

    p_i ∝ s_o(i)^−β · v_i,   v_i = Σ_k m_ik f_k^−β / Σ_k m_ik,   w_k = f_k^−β / Σ_j f_j^(1−β)

s_o: share of the organ o in the tiles; m_ik: pixels of class k in tile i; f_k: share of class k, in v among
the nuclei of known type, in w with the background among all pixels of known type. So the organs are shown as
s^(1−β), a tile the more often the rarer its nuclei, and the weights in the loss have a mean of 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import UNKNOWN, TileSource
from triptych.core.protocols import Indices

Float64 = NDArray[np.float64]
LOOKED: Final = 4096  # tiles whose types are counted, evenly spaced; of the others v is the mean
PART: Final = 64  # tiles read at once


@dataclass(frozen=True, eq=False)
class Balance:
    """What makes up for unequal numbers.

    Parameters
    ----------
    tiles
        Probability of each tile, shape (n,), adds to 1.
    classes
        Weight of the background and of each class in the loss, shape (1 + c,); 0 for a class that is nowhere.
    """

    tiles: Float64
    classes: Float64

    @classmethod
    def of(cls, tiles: TileSource, strength: float) -> Balance:
        """That of some tiles.

        Parameters
        ----------
        tiles
            At least one.
        strength
            β, 0 … 1.
        """
        rows = np.unique(np.linspace(0, len(tiles) - 1, min(LOOKED, len(tiles))).astype(np.int64))
        pixels = type_pixels(tiles, rows)
        weight = _organ_weights(tiles, strength)
        weight[rows] *= _rarity(pixels[:, 1:], strength)
        return cls(weight / weight.sum(), class_weights(pixels.sum(0), strength))

    def batches(self, batch: int, rng: np.random.Generator) -> Iterator[Indices]:
        """Rows of so many tiles, drawn with replacement, without end."""
        edges = np.cumsum(self.tiles)
        while True:
            drawn = np.searchsorted(edges, rng.random(batch) * edges[-1], side="right")
            yield np.minimum(drawn, len(edges) - 1)


def type_pixels(tiles: TileSource, rows: Indices) -> Float64:
    """Pixels of background and of each class in some tiles, shape (r, 1 + c)."""
    counts = np.zeros((len(rows), 1 + len(tiles.classes)))
    for start in range(0, len(rows), PART):
        part = tiles.take(rows[start : start + PART])
        for at, (types, ignore) in enumerate(zip(part.types, part.ignore, strict=True), start):
            counts[at] = np.bincount(types[~ignore], minlength=UNKNOWN + 1)[: counts.shape[1]]
    return counts


def class_weights(pixels: Float64, strength: float) -> Float64:
    """w_k of counts of pixels, shape (1 + c,)."""
    share = pixels / max(pixels.sum(), 1.0)
    weights = np.where(share > 0, np.where(share > 0, share, 1.0) ** -strength, 0.0)
    mean = (share * weights).sum()
    return weights / mean if mean > 0 else weights


def _organ_weights(tiles: TileSource, strength: float) -> Float64:
    _, organ, count = np.unique(
        tiles.about["organ"].astype(str).to_numpy(), return_inverse=True, return_counts=True
    )
    return np.asarray((count / len(tiles))[organ] ** -strength)


def _rarity(pixels: Float64, strength: float) -> Float64:
    """v_i over its mean; 1 for a tile without nuclei of known type. Pixels have shape (r, c)."""
    rare = class_weights(pixels.sum(0), strength)
    known = pixels.sum(1)
    v = np.divide(pixels @ rare, known, out=np.full(len(pixels), np.nan), where=known > 0)
    return np.where(known > 0, v / np.nanmean(v), 1.0) if (known > 0).any() else np.ones(len(pixels))
