"""Scores of nuclei as ratios whose parts add up over images, so means and intervals need nothing else."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Codes, Indices, Vector

Pairs = tuple[Indices, Indices]  # rows of the true and the found nuclei that are matched
Definition = Literal["plain", "hovernet"]
Side = Literal["truth", "guess"]
SIDES: Final[tuple[Side, Side]] = ("truth", "guess")


class Ratio(NamedTuple):
    """A score of each image, or of each image and class.

    Attributes
    ----------
    above, below
        Shape (i,) or (i, c); where ``below`` is 0 an image says nothing.
    """

    above: NDArray[np.float64]
    below: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """Of each image; NaN where it says nothing."""
        return quotient(self.above, self.below)

    def over_images(self) -> float:
        """Mean over the images that say something; NaN without any."""
        return mean_of_known(self.values)

    def pooled(self) -> NDArray[np.float64]:
        """Of the sums over images, shape () or (c,); NaN where nothing is said."""
        return quotient(self.above.sum(axis=0), self.below.sum(axis=0))


def quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """One by the other; NaN where ``below`` is 0."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.asarray(np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0))


def mean_of_known(values: Vector) -> float:
    """Mean of what is not NaN; NaN where nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row over the classes that are not NaN, shape (i, c) → (i,)."""
    known = ~np.isnan(values)
    return quotient(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))


def dice(overlaps: Overlaps) -> Ratio:
    """2 |T ∩ G| / (|T| + |G|) of the pixels of nuclei of each image (Dice 1945)."""
    truth, guess = (_by_image(overlaps, name, "area") for name in SIDES)
    return Ratio(2 * _of_pairs(overlaps, overlaps.pairs["area"]), truth + guess)


def aggregated_jaccard(overlaps: Overlaps) -> Ratio:
    """Aggregated Jaccard index of each image, see `triptych.metrics.aji.Aji`."""
    pairs, guess = overlaps.pairs, overlaps.guess
    union = _unions(overlaps)
    iou, found = pairs["area"] / union, pairs["guess"]
    keys = (guess["x_um"][found], guess["y_um"][found], -pairs["area"], -iou, pairs["truth"])
    order = np.lexsort(keys)
    best = order[np.diff(pairs["truth"][order], prepend=-1) != 0]
    missed, spare = (_alone(overlaps, name, best) for name in SIDES)
    return Ratio(_of_pairs(overlaps, pairs["area"], best), _of_pairs(overlaps, union, best) + missed + spare)


def panoptic(overlaps: Overlaps) -> Ratio:
    """Panoptic quality of each image, Σ IoU / (TP + FP/2 + FN/2) of the pairs with IoU > 0.5."""
    some = _above_half(overlaps)
    iou = overlaps.pairs["area"] / _unions(overlaps)
    true, found = (_by_image(overlaps, name) for name in SIDES)
    return Ratio(_of_pairs(overlaps, iou, some), (true + found) / 2)  # TP + FP = found, TP + FN = true


def panoptic_by_class(overlaps: Overlaps) -> Ratio:
    """Panoptic quality of the nuclei of each class alone, shape (i, c).

    A pair counts when both are of the class. True nuclei of unknown class are left out, with the found ones
    that have an IoU above 0.5 with them; so are images with true nuclei of which none has a known class.
    """
    some = _above_half(overlaps)
    truth, guess = overlaps.pairs["truth"][some], overlaps.pairs["guess"][some]
    actual, told = overlaps.truth["type"], _told(overlaps)
    told[guess[actual[truth] < 0]] = -1
    right = (actual[truth] == told[guess]) & (actual[truth] >= 0)
    iou = overlaps.pairs["area"][some] / _unions(overlaps)[some]
    image = overlaps.truth["image"]
    above = _by_class(overlaps, image[truth[right]], actual[truth[right]], iou[right])
    true, found = true_by_class(overlaps), _by_class(overlaps, overlaps.guess["image"], told)
    return Ratio(above, (true + found) / 2)


def true_by_class(overlaps: Overlaps) -> NDArray[np.float64]:
    """Number of true nuclei of each class in each image, shape (i, c)."""
    return _by_class(overlaps, overlaps.truth["image"], overlaps.truth["type"])


def found_by_class(overlaps: Overlaps) -> NDArray[np.float64]:
    """Number of found nuclei of each class in each image, shape (i, c)."""
    return _by_class(overlaps, overlaps.guess["image"], overlaps.guess["type"])


def types_told(overlaps: Overlaps) -> bool:
    """Whether types can be judged: some true nucleus has one, and what was found is not all without."""
    actual, told = overlaps.truth["type"], overlaps.guess["type"]
    return bool((actual >= 0).any() and (not len(told) or (told >= 0).any()))


def precision(overlaps: Overlaps, pairs: Pairs) -> Ratio:
    """Part of the found nuclei of each image that are matched."""
    return Ratio(_matched(overlaps, pairs), _by_image(overlaps, "guess"))


def recall(overlaps: Overlaps, pairs: Pairs) -> Ratio:
    """Part of the true nuclei of each image that are matched."""
    return Ratio(_matched(overlaps, pairs), _by_image(overlaps, "truth"))


def f1(overlaps: Overlaps, pairs: Pairs) -> Ratio:
    """2 TP / (2 TP + FP + FN) of each image."""
    total = _by_image(overlaps, "truth") + _by_image(overlaps, "guess")
    return Ratio(2 * _matched(overlaps, pairs), total)


def type_f1(overlaps: Overlaps, pairs: Pairs, definition: Definition = "plain") -> Ratio:
    """F1 of each image and class, shape (i, c), see `triptych.metrics.type_f1.TypeF1`."""
    actual, told = overlaps.truth["type"], _told(overlaps)
    told[pairs[1][actual[pairs[0]] < 0]] = -1
    known = actual[pairs[0]] >= 0
    t, g = pairs[0][known], pairs[1][known]
    image = overlaps.truth["image"][t]
    right = actual[t] == told[g]
    hit = _by_class(overlaps, image[right], actual[t[right]])
    true, found = true_by_class(overlaps), _by_class(overlaps, overlaps.guess["image"], told)
    if definition == "plain":
        return Ratio(2 * hit, true + found)
    paired, called = _by_class(overlaps, image, actual[t]), _by_class(overlaps, image, told[g])
    here = (true + found).sum(axis=0) > 0  # a class that neither occurs nor is found says nothing
    neither = np.bincount(image, minlength=len(overlaps.organs))[:, None] - paired - called + hit
    agreed = np.where(here, 2 * (hit + neither), 0.0)
    mistaken = 2 * (paired + called - 2 * hit) + (true - paired) + (found - called)
    return Ratio(agreed, agreed + mistaken)


def count_error(overlaps: Overlaps) -> Ratio:
    """|found - true| / true of each image."""
    true, found = _by_image(overlaps, "truth"), _by_image(overlaps, "guess")
    return Ratio(np.abs(found - true), true)


def _by_image(
    overlaps: Overlaps, name: Side, column: str = "", some: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:  # fmt: skip
    """How many nuclei each image has, or the sum of one of their columns, shape (i,)."""
    table = getattr(overlaps, name)
    which = slice(None) if some is None else some
    weights = table[column][which] if column else None
    return np.bincount(table["image"][which], weights, len(overlaps.organs)).astype(np.float64)


def _by_class(
    overlaps: Overlaps, image: Indices, types: Codes, weights: Vector | None = None
) -> NDArray[np.float64]:  # fmt: skip
    """How many, or the sum of weights, in each image and class, shape (i, c); no class is left out."""
    shape, some = (len(overlaps.organs), len(overlaps.classes)), types >= 0
    code = image[some] * shape[1] + types[some]
    held = None if weights is None else weights[some]
    return np.bincount(code, held, shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _alone(overlaps: Overlaps, name: Side, best: Indices) -> NDArray[np.float64]:
    """Pixels of the nuclei of one side that are in none of the best pairs, by image, shape (i,)."""
    alone = np.ones(len(getattr(overlaps, name)["area"]), bool)
    alone[overlaps.pairs[name][best]] = False
    return _by_image(overlaps, name, "area", alone)


def _told(overlaps: Overlaps) -> Codes:
    """Types of the found nuclei; unknown in images where nobody knows the type of any true nucleus."""
    known = (overlaps.truth["type"] >= 0).astype(np.float64)
    there = _by_image(overlaps, "truth")
    typed = np.bincount(overlaps.truth["image"], known, len(there))
    silent = (there > 0) & (typed == 0)
    return np.where(silent[overlaps.guess["image"]], -1, overlaps.guess["type"])


def _of_pairs(overlaps: Overlaps, values: NDArray[Any], some: Indices | None = None) -> NDArray[np.float64]:
    """Sum over the pairs that share pixels, or some of them, by image, shape (i,)."""
    some = np.arange(len(values)) if some is None else some
    image = overlaps.truth["image"][overlaps.pairs["truth"][some]]
    return np.bincount(image, values[some], len(overlaps.organs)).astype(np.float64)


def _matched(overlaps: Overlaps, pairs: Pairs) -> NDArray[np.float64]:
    image = overlaps.truth["image"][pairs[0]]
    return np.bincount(image, minlength=len(overlaps.organs)).astype(np.float64)


def _unions(overlaps: Overlaps) -> Indices:
    pairs = overlaps.pairs
    total = overlaps.truth["area"][pairs["truth"]] + overlaps.guess["area"][pairs["guess"]]
    return np.asarray(total - pairs["area"])


def _above_half(overlaps: Overlaps) -> Indices:
    """Pairs with IoU > 0.5, in whole numbers, so that a half is never above itself."""
    return np.flatnonzero(2 * overlaps.pairs["area"] > _unions(overlaps))
