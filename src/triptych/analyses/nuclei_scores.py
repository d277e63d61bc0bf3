"""How well nuclei are found, by organ and by class, image by image and pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Codes
from triptych.maths import nuclei_ratios as ratios
from triptych.maths.bootstrap import percentile_interval
from triptych.maths.centroid_matching import matched_centroids
from triptych.maths.nuclei_ratios import Ratio, over_classes, quotient

ALL: Final = "all"
MEAN: Final = "(mean)"
UNNAMED: Final = "unknown"
FEWEST: Final = 3  # images that an interval needs
COLUMNS: Final = (
    "organ", "class", "metric", "over", "value", "low", "high", "images", "true", "found"
)  # fmt: skip


class Scored(NamedTuple):
    """A metric of some nuclei.

    Attributes
    ----------
    name
        Of the class, `ALL` or `MEAN`.
    metric
        Its name.
    of_images
        Of each image, shape (i,), NaN where it says nothing; with classes shape (i, c).
    pooled
        Parts that add up over images, shape (i,) or (i, c).
    true, found
        Nuclei of each image, shape (i,).
    """

    name: str
    metric: str
    of_images: NDArray[np.float64]
    pooled: Ratio
    true: NDArray[np.float64]
    found: NDArray[np.float64]


@dataclass(frozen=True)
class NucleiScores:
    """Dice, AJI, panoptic quality, detection and types, with intervals that draw whole images.

    Over ``image`` a score is the mean over the images that say something. Pooled, its parts (common pixels,
    IoU, TP, FP, FN, miscounted nuclei) are added up over the images first. For one class over ``image``, as
    in PanNuke (Gamper et al. 2020), an image without a true nucleus of it is left out, so nuclei that are
    made up there cost nothing; pooled they count as FP. The class ``(mean)`` is the mean over the classes: of
    each image those that truly occur, pooled those that occur or are found.

    Parameters
    ----------
    radius_um
        Largest distance of the centroids of a true and a found nucleus that are matched.
    draws
        Of images, for the 95 % interval.
    """

    radius_um: float = 3.0
    draws: int = 200

    takes: ClassVar[frozenset[str]] = frozenset({"nuclei"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.48550/arXiv.2003.10778"

    def __post_init__(self) -> None:
        if not 0 < self.radius_um < float("inf"):
            raise ValueError("radius_um must be above 0")
        if self.draws < 100:
            raise ValueError("draws must be 100 or more; fewer tell no ends of an interval")

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Judge all images, and those of each organ.

        Parameters
        ----------
        material
            True and found nuclei.
        rng
            Draws images.

        Returns
        -------
        One row per ``organ`` (and ``all``), ``class`` (``all`` = nuclei of whatever class, and ``(mean)``),
        ``metric`` and ``over`` (``image`` or ``pooled``): ``value`` with the ``low`` and ``high`` end of its
        interval, NaN below three images; how many ``images`` it rests on, and the ``true`` and ``found``
        nuclei there (pooled: of all images of the organ). No rows where no image was judged. Classes have
        rows where some true nucleus has one, unless nuclei were found and none has a class.
        ``attrs["note"]`` says how to read it.

        Raises
        ------
        DataError
            When no nuclei are given.
        """
        overlaps = material.nuclei
        if overlaps is None:
            raise DataError("nuclei-scores: there are no nuclei.", "Name them: nuclei: nuclei:NAME.")
        if not len(overlaps.organs):
            return pd.DataFrame(columns=list(COLUMNS))
        names = np.array([str(name) or UNNAMED for name in overlaps.organs])
        scored = list(_scored(overlaps, matched_centroids(overlaps, self.radius_um)))
        rows: list[tuple[str | float, ...]] = []
        for organ in (ALL, *np.unique(names).tolist()):
            images = np.arange(len(names)) if organ == ALL else np.flatnonzero(names == organ)
            times = _times(len(images), self.draws, rng)
            for one in scored:
                rows += [(organ, *row) for row in _rows(one, images, times)]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        table = table.astype(dict.fromkeys(("images", "true", "found"), np.int64))
        table.attrs["note"] = self._note()
        return table

    def _note(self) -> str:
        return (
            "Over image: the mean over images; of a class, over those where it truly occurs, so nuclei made "
            "up elsewhere cost nothing. Pooled: counts are added up over the images first, and those nuclei "
            f"count as wrong. Centroids are matched within {self.radius_um:g} µm. Intervals draw images "
            f"({self.draws} draws): they speak of more images of these sections, not of other donors."
        )


def _scored(overlaps: Overlaps, pairs: ratios.Pairs) -> Iterator[Scored]:
    """Every metric of all images."""
    found = ratios.found_by_class(overlaps)
    true = ratios.true_by_class(overlaps)
    count = len(overlaps.organs)
    of_all = tuple(
        np.bincount(table["image"], minlength=count).astype(np.float64)
        for table in (overlaps.truth, overlaps.guess)
    )
    for metric, ratio in {
        "dice": ratios.dice(overlaps),
        "aji": ratios.aggregated_jaccard(overlaps),
        "pq": ratios.panoptic(overlaps),
        "detection-precision": ratios.precision(overlaps, pairs),
        "detection-recall": ratios.recall(overlaps, pairs),
        "detection-f1": ratios.f1(overlaps, pairs),
        "count-error": ratios.count_error(overlaps),
    }.items():
        yield Scored(ALL, metric, ratio.values, ratio, *of_all)
    if not ratios.types_told(overlaps):
        return
    for metric, ratio in {
        "pq": ratios.panoptic_by_class(overlaps),
        "type-f1": ratios.type_f1(overlaps, pairs),
    }.items():
        values = np.where(true > 0, ratio.values, np.nan)
        sums = true.sum(axis=1), found.sum(axis=1)
        yield Scored(MEAN, metric, over_classes(values), ratio, *sums)
        for code, name in enumerate(overlaps.classes):
            one = Ratio(ratio.above[:, code], ratio.below[:, code])
            yield Scored(name, metric, values[:, code], one, true[:, code], found[:, code])


def _times(images: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each image is drawn, shape (draws, i); nothing below `FEWEST` images."""
    if images < FEWEST:
        return np.empty((0, images))
    drawn: Codes = rng.integers(images, size=(draws, images)) + np.arange(draws)[:, None] * images
    return np.bincount(drawn.ravel(), minlength=draws * images).reshape(draws, images).astype(np.float64)


def _rows(one: Scored, images: Codes, times: NDArray[np.float64]) -> Iterator[tuple[str | float, ...]]:
    """Over images and pooled: all columns but the organ."""
    values, once = one.of_images[images], np.ones((1, len(images)))
    parts = Ratio(one.pooled.above[images], one.pooled.below[images])
    says = parts.below.reshape(len(images), -1).sum(axis=1) > 0
    for over, known, value, drawn in (
        ("image", ~np.isnan(values), _mean(values, once), _mean(values, times)),
        ("pooled", says, _pooled(parts, once), _pooled(parts, times)),
    ):
        low, high = _ends(drawn) if known.sum() >= FEWEST else (np.nan, np.nan)
        rests = images if over == "pooled" else images[known]
        counts = (known.sum(), one.true[rests].sum(), one.found[rests].sum())
        yield one.name, one.metric, over, float(value[0]), low, high, *counts


def _mean(values: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the values that are known, each as often as it is drawn, shape (draws,)."""
    known = ~np.isnan(values)
    return quotient(times @ np.where(known, values, 0.0), times @ known)


def _pooled(parts: Ratio, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sums over the images drawn, with classes their mean, shape (draws,)."""
    found = quotient(times @ parts.above, times @ parts.below)
    return over_classes(found) if found.ndim == 2 else found


def _ends(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the interval; NaN where half of the draws, or more, say nothing."""
    known = drawn[~np.isnan(drawn)]
    return percentile_interval(known) if 2 * len(known) > len(drawn) else (float("nan"), float("nan"))
