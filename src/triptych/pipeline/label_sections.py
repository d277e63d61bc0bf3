"""A section as labels see it: its picture at the resolution of the tiles, and the nuclei of any region."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.core.nuclei import Instances, Outlines
from triptych.core.protocols import Codes, Matrix, Pixels
from triptych.maths.polygons import Rings, centroids_px, crossing
from triptych.tiles.rescaled import Rescaled
from triptych.tiles.slide import open_slide

REACH_UM: Final = 50.0  # tissue farther than this from every outline may hold nuclei that nobody looked for
GLASS: Final = 220.0  # mean of red, green and blue above which a pixel shows no tissue
Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the tiles


@lru_cache(maxsize=8)
def picture_at(image: str, scale: float) -> Rescaled:
    """A picture, opened once."""
    return Rescaled(open_slide(image), scale)


class Labels(NamedTuple):
    """The nuclei of a region.

    Attributes
    ----------
    instances
        Shape (h, w), with the section's own numbers.
    types
        Code of the type of each number, shape (largest + 1,); -1 = unknown.
    ignore
        Where nothing is known, shape (h, w).
    """

    instances: Instances
    types: Codes
    ignore: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelSection:
    """What both kinds of sections have.

    Parameters
    ----------
    sample, donor, organ
        Whose tissue it is.
    image
        Reference of its picture.
    scale
        Pixels of the tiles per pixel of that picture.
    mpp
        Of the tiles.
    """

    sample: str
    donor: str
    organ: str
    image: str
    scale: float
    mpp: float

    @property
    def picture(self) -> Rescaled:
        """At the resolution of the tiles."""
        return picture_at(self.image, self.scale)

    def pixels(self, box: Box) -> Pixels:
        """The picture of a region."""
        return self.picture.read(*box)

    def outside(self, box: Box) -> NDArray[np.bool_]:
        """Which pixels of a region lie beyond the picture."""
        height, width = self.picture.shape_px
        x0, y0, wide, tall = box
        x, y = np.arange(x0, x0 + wide), np.arange(y0, y0 + tall)
        off: NDArray[np.bool_] = ((y < 0) | (y >= height))[:, None] | ((x < 0) | (x >= width))
        return off

    @property
    def bounds(self) -> Box:
        """The region that labels speak of."""
        raise NotImplementedError

    @property
    def centres_px(self) -> Matrix:
        """Centres of the nuclei, shape (m, 2), in pixels of the tiles."""
        raise NotImplementedError

    def with_harm(self, harm: Harmful, classes: int) -> LabelSection:
        """The same with worse labels."""
        raise NotImplementedError

    def region(self, box: Box, pixels: Pixels) -> Labels:
        """The nuclei of a region, of which ``pixels`` are the picture."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class OutlinedSection(LabelSection):
    """Nuclei by their outlines, as an instrument gives them.

    Parameters
    ----------
    outlines
        In pixels of the picture.
    shift_px
        Of each ring, to where the picture shows it, shape (m, 2); finite.
    types
        Code of the type of each ring, shape (m,); -1 = unknown.
    """

    outlines: Outlines
    shift_px: Matrix
    types: Codes

    @cached_property
    def rings(self) -> Rings:
        """The rings, where the picture shows them, with an index."""
        return Rings.of(self.outlines, self.shift_px)

    @cached_property
    def doubtful(self) -> NDArray[np.bool_]:
        """Rings that cross themselves, so that what is inside is not known."""
        return crossing(self.outlines)

    @cached_property
    def centres_px(self) -> Matrix:
        """Centres of the rings."""
        found: Matrix = (centroids_px(self.outlines) + self.shift_px) * self.scale
        return found

    @cached_property
    def bounds(self) -> Box:
        """Around all centres, inside the picture."""
        height, width = self.picture.shape_px
        reach = REACH_UM / self.mpp / 2
        low = np.maximum(np.floor(self.centres_px.min(axis=0) - reach), 0).astype(int)
        high = np.minimum(np.ceil(self.centres_px.max(axis=0) + reach), (width, height)).astype(int)
        return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])

    @cached_property
    def _looked(self) -> tuple[NDArray[np.bool_], float]:
        """A coarse map of where outlines are near, and the side of its pixels."""
        from scipy.ndimage import binary_dilation, generate_binary_structure, iterate_structure

        side = REACH_UM / self.mpp / 5
        height, width = self.picture.shape_px
        shape = (int(height / side) + 2, int(width / side) + 2)
        near = np.zeros(shape, bool)
        at = np.clip((self.centres_px / side).astype(int), 0, np.array(shape[::-1]) - 1)
        near[at[:, 1], at[:, 0]] = True
        disc = iterate_structure(generate_binary_structure(2, 1), 5)
        return binary_dilation(near, disc), side

    def with_harm(self, harm: Harmful, classes: int) -> OutlinedSection:
        """The same with worse labels."""
        types, kept = harm.types(self.types, classes), harm.kept(len(self.types))
        moved = self.shift_px[kept] + np.asarray(harm.by_px) / self.scale
        return replace(self, outlines=some_rings(self.outlines, kept), shift_px=moved, types=types[kept])

    def region(self, box: Box, pixels: Pixels) -> Labels:
        """The nuclei of a region; tissue far from every outline is not known."""
        instances = self.rings.rasterised(*box, scale=self.scale)
        near, side = self._looked
        x0, y0, wide, tall = box
        rows = np.clip(((np.arange(y0, y0 + tall) + 0.5) / side).astype(int), 0, near.shape[0] - 1)
        columns = np.clip(((np.arange(x0, x0 + wide) + 0.5) / side).astype(int), 0, near.shape[1] - 1)
        ignore = ~near[np.ix_(rows, columns)] & (pixels.mean(axis=2) <= GLASS)
        ignore |= np.concatenate([[False], self.doubtful])[instances]
        return Labels(instances, np.concatenate([[-1], self.types]), ignore | self.outside(box))


@dataclass(frozen=True, eq=False)
class PicturedSection(LabelSection):
    """Nuclei by a picture of labels, as people draw them.

    Parameters
    ----------
    labels
        Shape (h, w), as large as the picture.
    codes
        Code of the type of each number, shape (largest + 1,); -1 = unknown.
    moved_px
        How far the labels are moved to the right and down, in pixels of the tiles: a harm done on purpose.
    """

    labels: Instances
    codes: Codes
    moved_px: tuple[float, float] = (0.0, 0.0)

    @property
    def bounds(self) -> Box:
        """The whole picture."""
        height, width = self.picture.shape_px
        return 0, 0, width, height

    @cached_property
    def centres_px(self) -> Matrix:
        """Centres of mass."""
        y, x = np.nonzero(self.labels)
        number = self.labels[y, x]
        size = np.bincount(number)
        there = np.flatnonzero(size)
        there = there[there > 0]
        sums = [np.bincount(number, axis + 0.5)[there] / size[there] for axis in (x, y)]
        found: Matrix = np.stack(sums, axis=1) * self.scale + self.moved_px
        return found

    def with_harm(self, harm: Harmful, classes: int) -> PicturedSection:
        """The same with worse labels."""
        codes, kept = harm.types(self.codes, classes), harm.kept(len(self.codes))
        labels = np.where(kept[self.labels], self.labels, 0).astype(np.int32)
        return replace(self, labels=labels, codes=codes, moved_px=harm.by_px)

    def region(self, box: Box, pixels: Pixels) -> Labels:
        """The nuclei of a region: the label of the nearest pixel."""
        x0, y0, wide, tall = box
        x = np.floor((np.arange(x0, x0 + wide) + 0.5 - self.moved_px[0]) / self.scale).astype(int)
        y = np.floor((np.arange(y0, y0 + tall) + 0.5 - self.moved_px[1]) / self.scale).astype(int)
        height, width = self.labels.shape
        off = ((y < 0) | (y >= height))[:, None] | ((x < 0) | (x >= width))
        found = self.labels[np.ix_(np.clip(y, 0, height - 1), np.clip(x, 0, width - 1))]
        return Labels(np.where(off, 0, found).astype(np.int32), self.codes, self.outside(box))


class Harmful(NamedTuple):
    """Noise that is put into labels on purpose, drawn once for a section.

    Attributes
    ----------
    flipped, lost
        Share of nuclei with another type than theirs, and of those that are left out.
    by_px
        How far the labels are moved, x and y, in pixels of the tiles.
    rng
        Of the draw.
    """

    flipped: float
    lost: float
    by_px: tuple[float, float]
    rng: np.random.Generator

    def types(self, types: Codes, classes: int) -> Codes:
        """Types of which a share is another one than it was."""
        known = np.flatnonzero(types >= 0)
        chosen = known[self.rng.random(len(known)) < self.flipped]
        if classes < 2 or not len(chosen):
            return types
        out = types.copy()
        out[chosen] = (types[chosen] + self.rng.integers(1, classes, len(chosen))) % classes
        return out

    def kept(self, number: int) -> NDArray[np.bool_]:
        """Which of some nuclei are not lost."""
        kept: NDArray[np.bool_] = self.rng.random(number) >= self.lost
        return kept


def some_rings(outlines: Outlines, kept: NDArray[np.bool_]) -> Outlines:
    """Some rings of outlines."""
    size = np.diff(outlines.first)
    first = np.concatenate([[0], np.cumsum(size[kept])])
    return Outlines(outlines.px[np.repeat(kept, size)], first, outlines.row[kept])
