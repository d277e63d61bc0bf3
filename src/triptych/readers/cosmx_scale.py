"""Micrometres per pixel of a CosMx slide, measured from what its files give in both units."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from triptych.core.checks import Faults
from triptych.core.protocols import Matrix
from triptych.readers.scales import axis_scales, similarity

TOLERANCE: Final = 0.01  # by which scales may differ: between axes, and between cells
PX: Final = ("x_global_px", "y_global_px")
MM: Final = (("x_global_mm", "y_global_mm"), ("x_mm", "y_mm"))
UM_PER_MM: Final = 1000.0
AREA_PX, AREA_UM2 = "Area", "Area.um2"


def scale_of_fovs(frame: pd.DataFrame, path: Path, faults: Faults) -> float:
    """The scale between the positions of the fields of view in mm and in pixels.

    The fields must be a scaled, shifted, turned or mirrored picture of each other in the two units; for two
    axes whose scales differ by ε, the residual of the best such map is about ε/2 of the spread.

    Parameters
    ----------
    frame
        Of ``fov_positions_file``, whose names of columns differ between versions.
    path
        For messages.
    faults
        Receives that the two do not fit.

    Returns
    -------
    µm per pixel; NaN when a unit is missing or the fields do not differ in place.
    """
    names = {str(column).lower(): column for column in frame.columns}
    mm = next((pair for pair in MM if set(pair) <= set(names)), None)
    if mm is None or not set(PX) <= set(names):
        return float("nan")
    numbers = frame[[names[name] for name in (*PX, *mm)]].apply(pd.to_numeric, errors="coerce").dropna()
    px, um = numbers.to_numpy(float)[:, :2], numbers.to_numpy(float)[:, 2:] * UM_PER_MM
    if len(numbers) < 2:
        return float("nan")
    scale, residual = similarity(um, px)
    spread = float(np.sqrt(np.sum((um - um.mean(axis=0)) ** 2, axis=1).mean()))
    if not np.isfinite(scale):
        return _scale_of_a_line(um, px, path, faults)
    fits = residual <= TOLERANCE / 2 * spread
    fault = f"the mm and px of {path.name} have no one scale: {residual:.3g} of {spread:.3g} µm remain"
    return scale if faults.check(fits, fault) else float("nan")


def _scale_of_a_line(um: Matrix, px: Matrix, path: Path, faults: Faults) -> float:
    """Of fields in one row or column: an axis along which they do not differ tells nothing."""
    scales = [scale for scale in axis_scales(um, px) if np.isfinite(scale) and scale > 0]
    if not scales:
        return float("nan")
    fault = (
        f"the mm and px of {path.name} have no one scale: {scales[0]:g} µm per px in x, {scales[-1]:g} in y"
    )
    return scales[0] if faults.check(max(scales) / min(scales) - 1 <= TOLERANCE, fault) else float("nan")


def scale_of_areas(frame: pd.DataFrame, path: Path, faults: Faults) -> float:
    """The scale between the areas of the cells in µm² and in pixels: the median of √(µm² / px²).

    It must be the same for all of the larger half of the cells, where the rounding of areas matters little.

    Returns
    -------
    µm per pixel; NaN when a unit is missing.
    """
    if not {AREA_PX, AREA_UM2} <= set(frame.columns):
        return float("nan")
    areas = frame[[AREA_PX, AREA_UM2]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    areas = areas[np.all(areas > 0, axis=1)]
    if not len(areas):
        return float("nan")
    large = areas[areas[:, 0] >= np.median(areas[:, 0])]
    scales = np.sqrt(large[:, 1] / large[:, 0])
    middle = float(np.median(scales))
    low, high = float(scales.min()), float(scales.max())
    same = max(high / middle, middle / low) - 1 <= TOLERANCE
    fault = f"{AREA_PX} and {AREA_UM2} of {path.name} have no one scale: {low:g} to {high:g} µm per px"
    return middle if faults.check(same, fault) else float("nan")
