"""Nuclei by the density of haematoxylin and a watershed: the control of every segmenter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.filters import threshold_otsu

from triptych.core.errors import DataError
from triptych.core.models import Fit, Saved
from triptych.core.nuclei import Found, TileSource
from triptych.core.protocols import Pixels
from triptych.maths.watershed import divided, filled, kept, pieces_of
from triptych.segmenters.door import check_tiles, check_window

Float32 = NDArray[np.float32]
NAME: Final = "watershed-stain"
# Densities of red, green and blue (columns) of haematoxylin, eosin and what is neither (rows): Ruifrok and
# Johnston (2001), with rows of length 1.
STAINS: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
UNMIX: Final = np.linalg.inv(STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True))[:, 0]
DENSITY: Final = -np.log((np.arange(256) + 1) / 256)
EDGES: Final = np.linspace(-4, 11, 7681)  # of the bins of densities; no colour lies beyond
BATCH, MOST = 16, 512  # tiles read at once; tiles that are looked at, evenly spread
ROUGH_UM: Final = 0.5  # sigma of the Gaussian over the distances, so that rough outlines have one summit
NUCLEUS_UM: Final = 16.0  # no nucleus is much wider


@dataclass(frozen=True)
class WatershedStain:
    """Pixels with more haematoxylin than a threshold, opened, cut between the summits of their depth.

    By the law of Beer and Lambert the density of haematoxylin is a sum of those of red, green and blue
    (Ruifrok and Johnston 2001). The threshold of Otsu (1979) parts its values into two classes with the
    largest variance between them. Within what is above, the distance to the border is the height of a
    watershed. It tells no types.

    Parameters
    ----------
    threshold
        ``fit``: Otsu's, of all tiles that it was fitted on. ``window``: Otsu's, of each picture that it is
        shown, which so depends on where windows begin. ``local``: a fifth of the first and four fifths of m +
        spread · s, the mean and standard deviation around each pixel; pictures that are paler or darker than
        those of the fit do not mislead it, and it hardly depends on windows.
    spread
        Of ``local``.
    around_um
        Side of the square whose values count in ``local``, those farther off less.
    smoothing_um
        Sigma of the Gaussian over the densities.
    opening_um
        Radius of the disc that must fit into a nucleus everywhere.
    apart_um
        Least distance of two summits along x and y.
    least_um2
        Area of the smallest nucleus; a hole that is smaller is filled.
    """

    threshold: Literal["local", "fit", "window"] = "local"
    spread: float = 0.5
    around_um: float = 64.0
    smoothing_um: float = 0.375
    opening_um: float = 0.5
    apart_um: float = 1.75
    least_um2: float = 3.2
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = (
        "Ruifrok and Johnston 2001, PMID 11531144; Otsu 1979, 10.1109/TSMC.1979.4310076; "
        "Vincent and Soille 1991, 10.1109/34.87344"
    )
    takes: ClassVar[Literal["tiles"]] = "tiles"

    def __post_init__(self) -> None:
        if not -2 <= self.spread <= 4:
            raise ValueError(f"spread must be from -2 to 4, got {self.spread}")
        if not 8 <= self.around_um <= 512:
            raise ValueError(f"around_um must be from 8 to 512, got {self.around_um}")
        for name in ("smoothing_um", "opening_um", "apart_um"):
            if not 0 <= getattr(self, name) <= NUCLEUS_UM:
                raise ValueError(f"{name} must be from 0 to {NUCLEUS_UM:.0f}, got {getattr(self, name)}")
        if not 0 <= self.least_um2 < np.inf:
            raise ValueError(f"least_um2 must be at least 0, got {self.least_um2}")

    def fit(self, tiles: TileSource, rng: np.random.Generator) -> Fit[None, FittedWatershedStain]:
        """Learn the threshold from the pictures; labels only say which pixels are to be ignored.

        Raises
        ------
        DataError
            When there are no tiles, or they have one shade only where anything is known.
        """
        check_tiles(NAME, tiles)
        counts = sum(self._counts(tiles), start=np.zeros(len(EDGES) - 1, np.int64))
        shades = np.count_nonzero(counts)
        if shades < 2:
            what = "the tiles hold one shade only" if shades else "all pixels of the tiles are to be ignored"
            raise DataError(
                f"{NAME}: {what}, so that no threshold parts nuclei from the rest.",
                "Bring tiles of stained tissue.",
            )
        return Fit(None, FittedWatershedStain(self, tiles.mpp, _otsu(counts)))

    def restore(self, folder: Path) -> FittedWatershedStain:
        """Read a model that was saved."""
        return FittedWatershedStain.load(folder)

    def _counts(self, tiles: TileSource) -> Iterator[NDArray[np.int64]]:
        rows = np.unique(np.linspace(0, len(tiles) - 1, min(len(tiles), MOST)).astype(np.int64))
        for start in range(0, len(rows), BATCH):
            some = tiles.take(rows[start : start + BATCH])
            for image, ignore in zip(some.image, some.ignore, strict=True):
                yield _counted(haematoxylin(image, self.smoothing_um / tiles.mpp)[~ignore])


@dataclass(frozen=True, eq=False)
class FittedWatershedStain(Saved):
    """A threshold, and how what is above it becomes nuclei.

    Parameters
    ----------
    settings
        Of the fit.
    mpp
        µm per pixel that pictures must have.
    density
        Otsu's threshold of the tiles of the fit, in natural logarithms.
    classes
        None.
    """

    settings: WatershedStain
    mpp: float
    density: float
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.mpp > 0 and np.isfinite(self.density)):
            raise ValueError(f"its resolution {self.mpp} or density {self.density} makes no sense")

    @property
    def halo_px(self) -> int:
        """How far a nucleus reaches; or, of what is around it, all but a thirtieth of the weight."""
        local = self.settings.threshold == "local"
        return int(np.ceil(max(NUCLEUS_UM, 0.375 * self.settings.around_um * local) / self.mpp))

    @property
    def multiple_px(self) -> int:
        """Windows may have any side."""
        return 1

    def segment(self, window: Pixels) -> Found:
        """The nuclei of a picture, of no type.

        Parameters
        ----------
        window
            Shape (h, w, 3).

        Raises
        ------
        DataError
            When it is no picture.
        """
        check_window(NAME, window)
        settings, mpp = self.settings, self.mpp
        density = haematoxylin(window, settings.smoothing_um / mpp)
        inside = density > self._threshold(density)
        reach = int(settings.opening_um / mpp)
        if reach:
            inside = ndi.binary_opening(inside, _disc(reach))
        least = round(settings.least_um2 / mpp**2)
        pieces = pieces_of(filled(inside, least), least)
        depth = np.minimum(ndi.distance_transform_edt(pieces > 0), NUCLEUS_UM / 2 / mpp).astype(np.float32)
        height = ndi.gaussian_filter(depth, ROUGH_UM / mpp)
        apart = max(1, round(settings.apart_um / mpp))
        nuclei = kept(divided(pieces, height, apart_px=apart, lowest=0.0), least)
        return Found(nuclei, np.zeros((int(nuclei.max(initial=0)), 0), np.float32))

    def _threshold(self, density: Float32) -> float | NDArray[np.float64]:
        if self.settings.threshold == "fit":
            return self.density
        if self.settings.threshold == "window":
            return _otsu(_counted(density))
        side = int(self.settings.around_um / 2 / self.mpp) // 2 * 2 + 1
        mean = density.astype(np.float64)
        square = mean * mean
        for _ in range(2):  # two means over half the side each: weights fall off towards the rim
            mean, square = ndi.uniform_filter(mean, side), ndi.uniform_filter(square, side)
        spread = np.sqrt(np.maximum(square - mean * mean, 0))
        return np.asarray(0.8 * (mean + self.settings.spread * spread) + 0.2 * self.density)


def haematoxylin(pixels: Pixels, sigma_px: float) -> Float32:
    """Density of haematoxylin (natural logarithm), smoothed, shape (h, w).

    Parameters
    ----------
    pixels
        Shape (h, w, 3).
    sigma_px
        Of the Gaussian; 0 leaves the values as they are.
    """
    tables = (UNMIX[:, None] * DENSITY).astype(np.float32)
    density = tables[0][pixels[..., 0]]
    density += tables[1][pixels[..., 1]]
    density += tables[2][pixels[..., 2]]
    return np.asarray(ndi.gaussian_filter(density, sigma_px)) if sigma_px else density


def _counted(density: Float32) -> NDArray[np.int64]:
    """How many values lie in each bin, shape (7680,)."""
    return np.histogram(density, EDGES)[0]


def _otsu(counts: NDArray[np.int64]) -> float:
    """Otsu's threshold; the one value there is where there is no other."""
    filled_bins = np.flatnonzero(counts)
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    if len(filled_bins) < 2:
        return float(middle[filled_bins].sum())
    return float(threshold_otsu(hist=(counts, middle)))


def _disc(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius)
