"""Outlines of nuclei moved to where the haematoxylin is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.nuclei import Outlines, Picture, Registration
from triptych.core.protocols import Matrix
from triptych.maths.displacement import Surface
from triptych.maths.polygons import Rings, centroids_px
from triptych.maths.similarity import Similarity, agreed
from triptych.registrars.door import check_outlines, check_scale
from triptych.registrars.regions import COLUMNS, Region, Search, spread, surfaces, tiled

Numbers: TypeAlias = NDArray[np.float64]
NAME: Final = "stain-correlation"
NOISE_UM: Final = 0.125  # standard deviation of the shift found in a region
FARTHEST_UM: Final = 1.5  # from the shift that regions agree upon, beyond which one is wrong
WIDER: Final = (1, 2, 4)  # times the side of a region, until one holds enough nuclei
MOST_CHANGE: Final = 0.02  # of scale, and radians of rotation


@dataclass(frozen=True)
class StainCorrelation:
    """The shift, scale and rotation by which nuclei of another picture lie best on the haematoxylin.

    In each of some regions spread over the section, the density of haematoxylin (Ruifrok and Johnston 2001)
    is correlated with the mask of the outlines at about 0.5 µm per pixel, both band-passed to the sizes of
    nuclei. The score z of a displacement is its normalised cross-correlation in standard deviations of that
    at displacements of more than twice ``max_shift_um``, see `triptych.maths.displacement`. Peaks that stand
    out by ``least_score`` vote for a shift or, from three of them on, for a shift with scale and rotation,
    whichever fits better for its number of parameters, see `triptych.maths.similarity`. The score of the
    section is the median of z at the displacement applied, over all regions, also those that did not vote.

    Parameters
    ----------
    max_shift_um
        Along x and along y, in any region.
    region_um
        About the side of a region; up to four times as much where nuclei are few.
    most_regions
        That are looked at.
    least_nuclei
        Outlines that a region needs.
    least_score
        Below it the outlines of a section are refused. In trials those of others had below 2.
    """

    max_shift_um: float = 10.0
    region_um: float = 125.0
    most_regions: int = 32
    least_nuclei: int = 20
    least_score: float = 5.0
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Ruifrok and Johnston 2001, PMID 11531144"

    def __post_init__(self) -> None:
        if not 1 <= self.max_shift_um <= 100:
            raise ValueError(f"max_shift_um must be from 1 to 100, got {self.max_shift_um}")
        if not 2 * self.max_shift_um <= self.region_um <= 1000:
            raise ValueError(
                f"region_um must be from twice max_shift_um, {2 * self.max_shift_um:g}, to 1000, "
                f"got {self.region_um}"
            )
        if self.most_regions < 1:
            raise ValueError(f"most_regions must be at least 1, got {self.most_regions}")
        if self.least_nuclei < 1:
            raise ValueError(f"least_nuclei must be at least 1, got {self.least_nuclei}")
        if not self.least_score > 0:
            raise ValueError(f"least_score must be above 0, got {self.least_score}")

    def register(self, outlines: Outlines, centres_px: Matrix, picture: Picture, mpp: float) -> Registration:
        """By how much each observation must be moved; reads one region at a time.

        Parameters
        ----------
        outlines
            Nuclei in full-resolution pixels.
        centres_px
            x and y of the observations, shape (n, 2).
        picture
            Stained with haematoxylin and eosin, at full resolution.
        mpp
            Micrometres per full-resolution pixel.

        Raises
        ------
        DataError
            When the scale is not known, or an outline or a centre is not finite.
        """
        check_outlines(NAME, outlines, centres_px)
        check_scale(NAME, mpp)
        search = Search.of(self.max_shift_um, self.region_um, mpp)
        tiles, regions = self._regions(centroids_px(outlines), picture, search)
        found = list(surfaces(regions, Rings.of(outlines), picture, search))
        fit = self._fit(regions, found, search)
        table = _table(regions, found, search, fit)
        score = float(np.median(table["score"].fillna(0.0))) if regions else np.nan
        if not regions:
            refused = self._few(tiles, outlines)
        else:
            refused = "" if score >= self.least_score else self._wrong(score, found, fit)
        shift = np.zeros(centres_px.shape) if refused else fit.at(centres_px)
        return Registration(shift, table, score, refused)

    def _regions(self, places: Matrix, picture: Picture, search: Search) -> tuple[list[Region], list[Region]]:
        """All that hold nuclei, and those to look at; wider ones where too few nuclei lie in any."""
        for wider in WIDER:
            tiles = tiled(places, picture, replace(search, side_px=wider * search.side_px))
            enough = [one for one in tiles if one.nuclei >= self.least_nuclei]
            if enough:
                break
        return tiles, spread(enough, self.most_regions)

    def _fit(self, regions: list[Region], found: list[Surface], search: Search) -> Similarity:
        """What the peaks agree upon that stand out and lie inside the range; no shift where there is none."""
        peaks = [one.peak() for one in found]
        votes = np.array([
            inside and one.z.max() >= self.least_score
            for one, (*_, inside) in zip(found, peaks, strict=True)
        ], bool)  # fmt: skip
        if not votes.any():
            return Similarity(0j, 0j, 0j, votes)
        places = np.array([one.centre_px for one in regions])[votes]
        moved = np.array([peak[:2] for peak in peaks])[votes] * search.factor
        noise, farthest = NOISE_UM / search.mpp, FARTHEST_UM / search.mpp
        fit = agreed(places, moved, noise=noise, farthest=farthest, most_change=MOST_CHANGE)
        used = votes.copy()
        used[votes] = fit.used
        return replace(fit, used=used)

    def _few(self, tiles: list[Region], outlines: Outlines) -> str:
        most = max((one.nuclei for one in tiles), default=0)
        return (
            f"Of {len(outlines.first) - 1} outlines at most {most} lie in one region of the picture of about "
            f"{WIDER[-1] * self.region_um:g} µm; {self.least_nuclei} are needed (least_nuclei)."
        )

    def _wrong(self, score: float, found: list[Surface], fit: Similarity) -> str:
        peaks = [one.peak() for one in found]
        highest = [one.z.max() for one in found if np.isfinite(one.z).all()]
        ends = sum(not inside for *_, inside in peaks)
        best = (
            f"the best single region has {max(highest):.1f}, and in {ends} the best match lies at the end of "
            "the range"
            if highest
            else "no region of the picture shows anything to compare them with"
        )
        return (
            f"The outlines do not lie on the haematoxylin: {int(fit.used.sum())} of {len(found)} regions "
            f"agree on a shift within {self.max_shift_um:g} µm, and the median score after it is "
            f"{score:.1f}, where {self.least_score:g} are needed; {best}. Do they belong to this picture, at "
            "its full resolution, and is max_shift_um large enough?"
        )


def _table(regions: list[Region], found: list[Surface], search: Search, fit: Similarity) -> pd.DataFrame:
    """One row for each region, see `triptych.core.nuclei.Registration`."""
    places = np.array([one.centre_px for one in regions], float).reshape(-1, 2)
    peaks = np.array([one.peak()[:2] for one in found], float).reshape(-1, 2) * search.factor
    there = fit.at(places) / search.factor
    return pd.DataFrame(dict(zip(COLUMNS, (
        *places.T, *peaks.T, np.full(len(places), fit.scale),
        np.array([one.at(0, 0) for one in found], float),
        np.array([one.at(x, y) for one, (x, y) in zip(found, there, strict=True)], float),
        np.array([one.nuclei for one in regions], int), fit.used,
    ), strict=True)))  # fmt: skip
