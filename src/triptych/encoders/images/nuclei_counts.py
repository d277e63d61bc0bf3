"""How many nuclei of which class lie in a window, by a network that was fitted before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import listing
from triptych.core.errors import WeightsError
from triptych.core.models import ABOUT, ARRAYS
from triptych.core.nuclei import Found
from triptych.core.protocols import Matrix, Pixels, WindowEncoder
from triptych.encoders.weights import fingerprint, mapping
from triptych.nets.hv_model import HvModel

CHAIN: Final = "chain.json"  # of a fitted recipe, in the folder model of a run
MODEL: Final = "HvModel"  # what the segmenters that train a network learned, by the name in its file
LARGEST_PX: Final = 2048


@dataclass(frozen=True)
class NucleiCounts:
    """Nuclei of each class, nuclei of any, and their mean area in µm².

    The columns are ``names``: the classes of the segmenter in their order, each nucleus given to its
    likeliest, then ``all`` and ``area_um2``, which is 0 where there is no nucleus. Counts are raw.

    Parameters
    ----------
    model
        Folder of a run with a segment step, its folder ``model``, or the folder of the segmenter itself.
    window_um
        Side of the tissue seen. It should be wider than ``spot_um`` by a nucleus on each side, so that those
        at the rim are seen whole.
    spot_um
        Diameter of the circle in the middle of the window in which the centroid of a nucleus must lie to be
        counted; 0 counts all of the window.

    Notes
    -----
    The window is read at the µm per pixel of the segmenter, of which the side is a whole number.
    """

    model: str = ""
    window_um: float = 75.0
    spot_um: float = 55.0

    takes: ClassVar[Literal["windows"]] = "windows"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.window_um) and self.window_um > 0):
            raise ValueError(f"window_um must be positive, got {self.window_um}")
        if not 0 <= self.spot_um <= self.window_um:
            raise ValueError(f"spot_um must be from 0 to window_um, {self.window_um}, got {self.spot_um}")

    @property
    def tile_px(self) -> int:
        """Side of the arrays received; 0 where there is no segmenter, and `load` says why."""
        try:
            return round(self.window_um / float(self._about()["mpp"]))
        except WeightsError:  # a recipe is read where the segmenter need not be
            return 0

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return (*(str(name) for name in self._about()["classes"]), "all", "area_um2")

    def fingerprint(self) -> str:
        """sha256 of the files of the segmenter.

        Raises
        ------
        WeightsError
            When there is none, or the window has too many of its pixels.
        """
        folder = self._folder()
        return fingerprint(folder / ABOUT, folder / ARRAYS)

    def load(self, device: str) -> WindowEncoder:
        """The function (b, h, w, 3) → (b, c + 2), float32.

        Parameters
        ----------
        device
            Not used: the segmenter computes where ``TRIPTYCH_DEVICE`` says.

        Raises
        ------
        WeightsError
            When there is no segmenter, its files are damaged, or the window has too many of its pixels.
        """
        model = HvModel.load(self._folder())
        radius_px = self.spot_um / 2 / model.mpp if self.spot_um else math.inf

        def encode(pixels: Pixels) -> Matrix:
            out = np.zeros((len(pixels), len(model.classes) + 2), np.float32)
            for row, window in zip(out, pixels, strict=True):  # a window is a picture to be segmented
                row[:] = counted(model.segment(window), len(model.classes), radius_px)
            out[:, -1] *= np.float32(model.mpp**2)
            return out

        return encode

    def _folder(self) -> Path:
        """Of the segmenter, once the window is known to suit it."""
        mpp = float(self._about()["mpp"])
        if not 1 <= self.tile_px <= LARGEST_PX:
            raise WeightsError(
                f"{self.window_um} µm are {self.tile_px} px of the segmenter in {self.model}, at {mpp} µm "
                "per pixel.",
                f"Set window_um so that they are from 1 to {LARGEST_PX}.",
            )
        return segmenter_in(self.model)

    def _about(self) -> dict[str, Any]:
        """Plain values of the segmenter."""
        folder = segmenter_in(self.model)
        values = mapping(folder / ABOUT).get("values")
        if (
            not isinstance(values, dict)
            or not isinstance(values.get("classes"), list)
            or not isinstance(values.get("mpp"), float | int)
            or not 0 < values["mpp"] < math.inf
        ):
            raise WeightsError(f"{folder / ABOUT} is damaged.", "Fit and save it again.")
        return values


def counted(found: Found, classes: int, radius_px: float) -> NDArray[np.float64]:
    """Numbers of one window, shape (classes + 2,); the last is the mean area in pixels.

    Parameters
    ----------
    found
        Its nuclei.
    classes
        c, how many there are.
    radius_px
        How far from the middle a centroid may lie.
    """
    out = np.zeros(classes + 2)
    height, width = found.instances.shape
    y, x = np.nonzero(found.instances)
    number, n = found.instances[y, x] - 1, len(found.probabilities)
    area = np.bincount(number, minlength=n)
    x_sum, y_sum = (np.bincount(number, weights=place + 0.5, minlength=n) for place in (x, y))
    there = np.maximum(area, 1)
    inside = np.hypot(x_sum / there - width / 2, y_sum / there - height / 2) <= radius_px
    if not inside.any():
        return out
    if classes:
        out[:classes] = np.bincount(found.probabilities[inside].argmax(axis=1), minlength=classes)
    out[classes:] = inside.sum(), area[inside].mean()
    return out


def segmenter_in(given: str) -> Path:
    """The folder of a saved segmenter: the one given, or that of the segment step of a run.

    Raises
    ------
    WeightsError
        When there is none, or none that is known.
    """
    if not given:
        raise WeightsError(
            "nuclei-counts has no segmenter.", "Set model to the folder of a run that segments."
        )
    folder = Path(given).expanduser()
    for place in (folder, folder / "model"):
        if (place / CHAIN).is_file():
            folder = _step_of(place)
            break
    for name in (ABOUT, ARRAYS):
        if not (folder / name).is_file():
            held = listing(sorted(item.name for item in folder.iterdir())) if folder.is_dir() else ""
            raise WeightsError(
                f"{folder} holds no fitted segmenter: there is no {name}."
                + (f" It holds: {held}." if held else ""),
                "Name the folder given to run -o, of a recipe with a segment step.",
            )
    kind = mapping(folder / ABOUT).get("model")
    if kind != MODEL:
        raise WeightsError(
            f"{folder} holds a {kind}, which is no network that finds nuclei.",
            "Fit unet-hv, hovernet or cellvit.",
        )
    return folder


def _step_of(place: Path) -> Path:
    """The folder of the segment step of a fitted recipe, of which there must be one."""
    about = mapping(place / CHAIN)
    try:
        steps = about["recipe"]["steps"]
        indices = [int(one["index"]) for one in about["links"] if one["learned"]]
        found = [index for index in indices if steps[index - 1]["do"] == "segment"]
    except (LookupError, TypeError, ValueError) as error:
        raise WeightsError(f"{place / CHAIN} is damaged.", "Run again.") from error
    if len(found) != 1:
        raise WeightsError(
            f"The recipe fitted in {place} has {len(found)} segment steps, and one is needed.",
            "Name the folder of one of them, such as model/step-03." if found else "Run st-nuclei first.",
        )
    return place / f"step-{found[0]:02d}"
