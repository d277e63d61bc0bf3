"""CellProfiler's classical features of the stains around each cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal
from warnings import warn

import numpy as np

from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Crops, Matrix
from triptych.encoders.crops import cellprofiler_objects as objects
from triptych.encoders.crops import cellprofiler_quality as quality
from triptych.encoders.crops import cellprofiler_rings as rings
from triptych.encoders.crops.cellprofiler_granules import granularity
from triptych.maths.crops import Cropper

Family = Literal["intensity", "radial", "zernike", "texture", "granularity", "quality"]
FAMILIES: Final[tuple[Family, ...]] = ("intensity", "radial", "texture", "granularity", "quality")
SPECTRUM: Final = 16  # steps of the granular spectrum
NOISY: Final = 3  # the last of these, which the published blocklist names
SMALLEST_PX, LARGEST_PX = 32, 1024
AT_ONCE_PX: Final = 640_000  # pixels of one stain measured at once
LOOKED_AT_PX: Final = 4_000_000  # pixels of a section from which the brightest are found


@dataclass(frozen=True)
class CellProfiler:
    """Intensity, its radial distribution, texture, granularity and image quality of each stain around a cell.

    The crop, a bounding box, is the object: no outline of the cell is needed. Stains are brought to 0 … 1 by
    the brightest pixels of their own section, and cut off above, as CellProfiler and its 256 grey levels need
    them; no black level is subtracted. Names follow CellProfiler's, see `names`.

    Parameters
    ----------
    crop_px
        Side of the crop around each cell.
    stains
        Channels; ``-NAME`` leaves one out, none named are all that the data have.
    families
        What to measure: ``intensity`` (and where it lies), ``radial`` (its distribution over rings),
        ``zernike`` (moments of that distribution), ``texture`` (Haralick), ``granularity``, ``quality``
        (focus, saturation, power spectrum).
    scales
        Distances of co-occurring pixels of the texture, in pixels.
    mask
        Where the object lies: the whole ``crop``, or the ``disk`` within it. Image quality is always that of
        the crop.
    brightest
        Percentile of the pixels of a section that becomes 1; 100 is the brightest pixel.
    blocklist
        Whether to leave out what the published blocklist of noisy features names (Way 2019,
        doi:10.6084/m9.figshare.10255811): the last three steps of granularity.
    """

    crop_px: int = 100
    stains: tuple[str, ...] = ()
    families: tuple[Family, ...] = FAMILIES
    scales: tuple[int, ...] = (3,)
    mask: Literal["crop", "disk"] = "crop"
    brightest: float = 99.9
    blocklist: bool = True

    takes: ClassVar[Literal["crops"]] = "crops"
    sees: ClassVar[frozenset[str]] = frozenset({"stains"})
    may_miss: ClassVar[bool] = True  # a crop without light has no texture
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1186/s12859-021-04344-9"
    extra: ClassVar[tuple[str, str]] = ("cp_measure", "profiling")

    def __post_init__(self) -> None:
        if not SMALLEST_PX <= self.crop_px <= LARGEST_PX:
            raise ValueError(f"crop_px must be from {SMALLEST_PX} to {LARGEST_PX}, got {self.crop_px}")
        if not self.families or len(set(self.families)) < len(self.families):
            raise ValueError("families must name at least one, and each once")
        if "texture" in self.families and not self.scales:
            raise ValueError("texture needs at least one of scales")
        if len(set(self.scales)) < len(self.scales) or not all(0 < s < self.crop_px / 2 for s in self.scales):
            raise ValueError("scales must differ, be above 0 and below half of crop_px")
        if not 0 < self.brightest <= 100:
            raise ValueError(f"brightest must be above 0 and at most 100, got {self.brightest}")

    def names(self, stains: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the columns in CellProfiler's style, e.g. ``Intensity_MeanIntensity_DAPI``.

        Parameters
        ----------
        stains
            In the order of the columns.
        """
        of_stain = [name for family in self.families for name in self._named(family)]
        return tuple(name.format(stain) for stain in stains for name in of_stain)

    def encode(self, crops: Crops, rng: np.random.Generator) -> Matrix:
        """Measure every stain around every cell.

        Parameters
        ----------
        crops
            Centres of n cells, and the stains of their sections; beyond the image everything is 0.
        rng
            Not used.

        Returns
        -------
        Float32, shape (n, d), columns as `names`. NaN where a number is not defined, e.g. the texture of a
        crop without light.

        Warns
        -----
        TriptychWarning
            When crops reach beyond the image.

        Raises
        ------
        DataError
            When there are no such stains, or pixels are not finite.
        MissingExtraError
            When cp_measure is not installed.
        """
        cropper = Cropper(crops, self.crop_px, stains=self.stains)
        if not cropper.stains:
            raise DataError(
                "cellprofiler: the data have no stains, and it sees nothing else.",
                "Give sections with fluorescence images, or encode their molecules.",
            )
        if beyond := cropper.counted().beyond_image:
            warn(
                f"cellprofiler: {beyond} of {cropper.n} crops reach beyond the image, where they are 0.",
                TriptychWarning,
                stacklevel=2,
            )
        top, measures = _brightest(crops, cropper.stains, self.brightest), self._measures()
        out = np.empty((cropper.n, len(self.names(cropper.stains))), np.float32)
        at_once = max(1, AT_ONCE_PX // self.crop_px**2)
        for start in range(0, cropper.n, at_once):
            rows = np.arange(start, min(start + at_once, cropper.n))
            scaled = cropper.pixels(rows) / top[crops.sample[rows]][:, :, None, None]
            _check_finite(scaled, cropper.stains)
            planes = np.clip(scaled, 0, 1).reshape(-1, self.crop_px, self.crop_px)
            columns = [measure(planes) for measure in measures]
            out[rows] = np.concatenate(columns, axis=1).reshape(len(rows), -1)
        return out

    def _named(self, family: Family) -> tuple[str, ...]:
        """Columns of a family, with {} for the stain."""
        if family == "texture":
            return tuple(name for scale in self.scales for name in objects.texture_names(scale))
        if family == "granularity":
            return tuple(f"Granularity_{step + 1}_{{}}" for step in range(self._steps))
        return {
            "intensity": objects.INTENSITY, "radial": rings.NAMES,
            "zernike": objects.ZERNIKE, "quality": quality.NAMES,
        }[family]  # fmt: skip

    def _measures(self) -> list[Callable[[rings.Planes], Matrix]]:
        """What measures the columns, in the order of `names`."""
        mask = self._mask()
        make: dict[Family, Callable[[], list[Callable[[rings.Planes], Matrix]]]] = {
            "intensity": lambda: [objects.intensity(mask)],
            "radial": lambda: [rings.radial_distribution(mask)],
            "zernike": lambda: [objects.zernike(mask)],
            "texture": lambda: [objects.texture(mask, scale) for scale in self.scales],
            "granularity": lambda: [granularity(mask, self._steps)],
            "quality": lambda: [quality.image_quality],
        }
        return [measure for family in self.families for measure in make[family]()]

    @property
    def _steps(self) -> int:
        return SPECTRUM - NOISY if self.blocklist else SPECTRUM

    def _mask(self) -> rings.Mask:
        """Where the object lies, shape (crop_px, crop_px)."""
        off = np.arange(self.crop_px) - (self.crop_px - 1) / 2
        far = off[:, None] ** 2 + off**2 > (self.crop_px / 2) ** 2
        mask: rings.Mask = ~far if self.mask == "disk" else np.ones_like(far)
        return mask


def _brightest(crops: Crops, stains: tuple[str, ...], percentile: float) -> Matrix:
    """Grey value that becomes 1 in each section and stain, shape (sections, stains).

    Of large images, every k-th row and column is looked at.
    """
    channels = [crops.stains.index(stain) for stain in stains]
    top = np.ones((len(crops.pixels), len(channels)))
    for section, pictures in enumerate(crops.pixels):
        for k, channel in enumerate(channels):
            picture = pictures[channel]
            step = max(1, round((picture.size / LOOKED_AT_PX) ** 0.5))
            values = np.asarray(picture[::step, ::step], np.float64)
            known = values[np.isfinite(values)]  # outside the tissue some images have NaN
            top[section, k] = np.percentile(known, percentile) if known.size else 0
    return np.where(top > 0, top, 1.0)


def _check_finite(planes: Matrix, stains: tuple[str, ...]) -> None:
    """Refuse crops, of shape (b, stains, side, side), with pixels that are no numbers."""
    lost = ~np.isfinite(planes).all(axis=(0, 2, 3))
    if lost.any():
        names = listing(np.array(stains)[lost].tolist())
        raise DataError(
            f"cellprofiler: some crops of {names} have pixels that are not finite.",
            "Fill them, or leave out the cells there.",
        )
