"""Regions of a section where outlines are compared with the picture: which, and what is seen in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import Picture
from triptych.core.protocols import Indices, Matrix, Pixels
from triptych.maths.displacement import Plane, Surface, band_passed, matched
from triptych.maths.polygons import Rings

COLUMNS: Final = (
    "x_px", "y_px", "dx_px", "dy_px", "scale", "score_before", "score", "nuclei", "used",
)  # fmt: skip
WORKING_MPP: Final = 0.5  # fine enough for a tenth of a nucleus, and four times less to read than 40×
FINE_UM: Final = 0.5  # to COARSE_UM: the band of sizes that nuclei have
COARSE_UM: Final = 5.0
DARKEST: Final = 1.5  # density of haematoxylin; pigment and folds are no darker nuclei
# Optical densities of haematoxylin, eosin and DAB in red, green and blue (Ruifrok and Johnston 2001).
STAINS: Final = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
_UNMIX: Final = np.linalg.inv(STAINS)[:, 0]
_DENSITY: Final = (-np.log10((np.arange(256) + 1) / 256)[:, None] * _UNMIX).astype(np.float32)


@dataclass(frozen=True)
class Region:
    """A part of the picture.

    Parameters
    ----------
    x0, y0, width, height
        In full-resolution pixels, whole multiples of the factor by which it is reduced.
    nuclei
        Whose centres lie in it.
    """

    x0: int
    y0: int
    width: int
    height: int
    nuclei: int

    @property
    def centre_px(self) -> tuple[float, float]:
        """Its x and y in full-resolution pixels."""
        return self.x0 + self.width / 2, self.y0 + self.height / 2


@dataclass(frozen=True)
class Search:
    """How regions are looked at.

    Parameters
    ----------
    factor
        Full-resolution pixels per pixel that is compared.
    reach
        The largest displacement, in pixels that are compared.
    side_px
        Of a region without the margin that displacements need, in full-resolution pixels.
    mpp
        Micrometres per full-resolution pixel.
    """

    factor: int
    reach: int
    side_px: float
    mpp: float

    @classmethod
    def of(cls, max_shift_um: float, region_um: float, mpp: float) -> Search:
        """From lengths in µm."""
        factor = max(1, round(WORKING_MPP / mpp))
        return cls(factor, max(2, int(np.ceil(max_shift_um / (mpp * factor)))), region_um / mpp, mpp)

    @property
    def margin_px(self) -> int:
        """Full-resolution pixels of the largest displacement."""
        return self.factor * self.reach

    def sigma(self, um: float) -> float:
        """A length in pixels that are compared."""
        return um / (self.mpp * self.factor)


def tiled(centres_px: Matrix, picture: Picture, search: Search) -> list[Region]:
    """The picture as far as there are outlines, cut into regions of about the same size.

    Parameters
    ----------
    centres_px
        Of outlines, shape (m, 2).
    picture
        Whose edge limits the regions: their margins lie inside of it.
    search
        Sizes.

    Returns
    -------
    Regions that hold any nucleus, row by row; none where the picture is too small.
    """
    height, width = picture.shape_px
    inside = centres_px[((centres_px >= 0) & (centres_px <= [width, height])).all(axis=1)]
    if not len(inside):
        return []
    margin = search.margin_px
    low = np.maximum(np.floor(inside.min(axis=0)), margin)
    high = np.minimum(np.ceil(inside.max(axis=0)), np.array([width, height]) - margin)
    if (high - low < 2 * margin).any():  # too little would be left to tell chance from
        return []
    many = np.maximum(1, np.round((high - low) / search.side_px)).astype(int)
    side = (high - low) / many
    at = np.floor((inside - low) / side).astype(int)
    at = at[((at >= 0) & (at < many)).all(axis=1)]
    count = np.bincount(at[:, 1] * many[0] + at[:, 0], minlength=int(many.prod()))
    return [
        _region(low + side * (cell % many[0], cell // many[0]), side, int(count[cell]), search)
        for cell in np.flatnonzero(count)
    ]


def _region(corner: NDArray[np.float64], side: NDArray[np.float64], nuclei: int, search: Search) -> Region:
    """With its margin, and on whole pixels of those that are compared."""
    factor = search.factor
    x0, y0 = (int(v) // factor * factor for v in corner - search.margin_px)
    wide, tall = (int(v) // factor * factor + 2 * search.margin_px for v in side)
    return Region(max(x0, 0), max(y0, 0), wide, tall, nuclei)


def spread(regions: list[Region], most: int) -> list[Region]:
    """As many as are wanted: first the one with most nuclei, then always the one farthest from those chosen.

    Regions that hold less than half as many nuclei as the middle one are taken only when there are no others.
    """
    if len(regions) <= most:
        return regions
    nuclei = np.array([one.nuclei for one in regions])
    full = np.flatnonzero(2 * nuclei >= np.median(nuclei))
    rows = full if len(full) >= most else np.arange(len(regions))
    places = np.array([regions[row].centre_px for row in rows])
    chosen = _farthest(places, int(nuclei[rows].argmax()), most)
    return [regions[row] for row in np.sort(rows[chosen])]


def _farthest(places: Matrix, first: int, most: int) -> Indices:
    chosen = [first]
    distance = np.square(places - places[first]).sum(axis=1)
    while len(chosen) < most:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.square(places - places[chosen[-1]]).sum(axis=1))
    return np.array(chosen)


def surfaces(regions: list[Region], rings: Rings, picture: Picture, search: Search) -> Iterator[Surface]:
    """How well the outlines match the picture in each region, at each displacement; one region at a time."""
    sizes = search.sigma(FINE_UM), search.sigma(COARSE_UM)
    for one in regions:
        stained = haematoxylin(picture.read(one.x0, one.y0, one.width, one.height), search.factor)
        # reduced after it is filled: filled at the lower resolution, edges would be rounded to one side
        mask = rings.rasterised(one.x0, one.y0, one.width, one.height) > 0
        covered = _reduced(mask.astype(np.float32), search.factor)
        yield matched(band_passed(stained, *sizes), band_passed(covered, *sizes), search.reach)


def haematoxylin(pixels: Pixels, factor: int) -> Plane:
    """Density of haematoxylin, from 0 to `DARKEST`, mean of squares of ``factor`` pixels."""
    red, green, blue = (_DENSITY[:, k][pixels[..., k]] for k in range(3))
    clipped: Plane = np.clip(_reduced(red + green + blue, factor), 0, DARKEST)
    return clipped


def _reduced(plane: Plane, factor: int) -> Plane:
    """Means of squares; what is left over at the right and below is not in them."""
    rows, columns = (side // factor for side in plane.shape)
    squares = plane[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    means: Plane = squares.mean(axis=(1, 3))
    return means
