"""What cp_measure measures of crops that are laid side by side in one picture, each an object of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.extras import need
from triptych.core.protocols import Matrix
from triptych.encoders.crops.cellprofiler_rings import Mask, Planes

LEVELS: Final = 256  # grey levels of co-occurrence
DIRECTIONS: Final = 4
DEGREE: Final = 9  # of the Zernike polynomials
HARALICK: Final = (
    "AngularSecondMoment", "Contrast", "Correlation", "Variance", "InverseDifferenceMoment", "SumAverage",
    "SumVariance", "SumEntropy", "Entropy", "DifferenceVariance", "DifferenceEntropy",
    "InfoMeas1", "InfoMeas2",
)  # fmt: skip
INTENSITIES: Final = (
    "IntegratedIntensity", "MeanIntensity", "StdIntensity", "MinIntensity", "MaxIntensity",
    "IntegratedIntensityEdge", "MeanIntensityEdge", "StdIntensityEdge", "MinIntensityEdge",
    "MaxIntensityEdge", "MassDisplacement", "LowerQuartileIntensity", "MedianIntensity", "MADIntensity",
    "UpperQuartileIntensity",
)  # fmt: skip
PLACES: Final = tuple(f"Location_{what}Intensity_{axis}" for what in ("CenterMass", "Max") for axis in "XY")
INTENSITY: Final = (
    *(f"Intensity_{what}_{{}}" for what in INTENSITIES),
    *(f"{place}_{{}}" for place in PLACES),
)
_ORDERS: Final = tuple((n, m) for n in range(DEGREE + 1) for m in range(n % 2, n + 1, 2))
ZERNIKE: Final = tuple(
    f"RadialDistribution_Zernike{what}_{{}}_{n}_{m}" for what in ("Magnitude", "Phase") for n, m in _ORDERS
)


def texture_names(scale: int) -> tuple[str, ...]:
    """Columns of the texture at one distance, with {} for the stain."""
    return tuple(
        f"Texture_{what}_{{}}_{scale}_{direction:02d}_{LEVELS}"
        for direction in range(DIRECTIONS)
        for what in HARALICK
    )


def intensity(mask: Mask) -> Callable[[Planes], Matrix]:
    """What measures intensities and where they lie, (b, side, side) → (b, 19), columns as `INTENSITY`.

    Places are in pixels of the crop, its first pixel at 0.
    """
    get = need("cp_measure.core.measureobjectintensity", "profiling").get_intensity

    def measure(planes: Planes) -> Matrix:
        labels, picture = side_by_side(planes, mask)
        found = _table(get(labels, picture), (name.replace("_{}", "") for name in INTENSITY))
        x = [INTENSITY.index(f"{place}_{{}}") for place in PLACES if place.endswith("X")]
        y = [INTENSITY.index(f"{place}_{{}}") for place in PLACES if place.endswith("Y")]
        found[:, x] -= (1 + np.arange(len(planes)) * (len(mask) + 1))[:, None]
        found[:, y] -= 1
        return found

    return measure


def texture(mask: Mask, scale: int) -> Callable[[Planes], Matrix]:
    """What measures Haralick's features at one distance, (b, side, side) → (b, 52); see `texture_names`.

    Pixels that are 0 of `LEVELS` grey levels count as background; NaN where nothing else is left.
    """
    need("numba", "profiling")
    get = need("cp_measure.core.numba.measuretexture", "profiling").get_texture

    def measure(planes: Planes) -> Matrix:
        labels, picture = side_by_side(planes, mask)
        found = get(labels, picture, scale=scale, gray_levels=LEVELS)
        return _table(
            found, (name.replace("Texture_", "").replace("_{}", "") for name in texture_names(scale))
        )

    return measure


def zernike(mask: Mask) -> Callable[[Planes], Matrix]:
    """What measures Zernike moments of the intensity, (b, side, side) → (b, 60), columns as `ZERNIKE`."""
    get = need("cp_measure.core.measureobjectintensitydistribution", "profiling").get_radial_zernikes

    def measure(planes: Planes) -> Matrix:
        labels, picture = side_by_side(planes, mask)
        return _table(get(labels, picture, DEGREE), (name.replace("_{}", "") for name in ZERNIKE))

    return measure


def side_by_side(planes: Planes, mask: Mask) -> tuple[NDArray[np.int64], Planes]:
    """Labels 1 … b and pixels of one picture, each of shape (side + 2, b · (side + 1) + 1).

    One empty pixel lies around every crop, so that objects do not touch and the rim of a crop is an edge.
    """
    b, side = planes.shape[:2]
    labels = np.arange(1, b + 1)[:, None, None] * mask
    return _row(labels, side), _row(planes, side)


def _row(tiles: NDArray[Any], side: int) -> NDArray[Any]:
    framed = np.pad(tiles, ((0, 0), (1, 1), (1, 0)))
    return np.pad(framed.swapaxes(0, 1).reshape(side + 2, -1), ((0, 0), (0, 1)))


def _table(found: Mapping[str, Matrix], names: Any) -> Matrix:
    return np.stack([np.asarray(found[name], np.float64) for name in names], axis=1)
