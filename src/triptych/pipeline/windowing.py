"""Windows of every section through an image encoder."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from triptych.core.errors import DataError, NumericsError
from triptych.core.protocols import Matrix, WindowEncoder
from triptych.core.protocols import Pixels as Rgb
from triptych.core.settings import device
from triptych.pipeline.pixels import Pixels
from triptych.tiles.slide import open_slide
from triptych.tiles.windows import Windows, stream

BATCH = 64
SAMPLED = 200  # windows from which the stain of a section is estimated


def windows_view(encoder: Any, sections: list[Pixels], stain: Any, rng: np.random.Generator) -> Matrix:
    """Stream the windows of every section through an image encoder, in slide order.

    Parameters
    ----------
    encoder
        Of images.
    sections
        What to crop.
    stain
        Normaliser of pixels, whose estimate for a section comes from some of its windows; or None.
    rng
        Draws those windows.

    Raises
    ------
    DataError
        When an encoder sees so many µm and an image has no resolution.
    """
    encode = loaded(encoder, device())
    view: Matrix | None = None
    n = sum(len(section.rows) for section in sections)
    for section in sections:
        slide = open_slide(section.image)
        size = side_px(encoder, section)
        normalise = stain.section(_some(slide, section, size, encoder.tile_px, rng)) if stain else None
        windows = Windows(section.centres_px, size, encoder.tile_px)
        for indices, pixels in stream(slide, windows, BATCH):
            part = encode(normalise(pixels) if normalise else pixels)
            if view is None:
                view = np.empty((n, part.shape[1]), dtype=part.dtype)
            view[section.rows[indices]] = part
    if view is None:
        raise NumericsError("There are no windows to encode.")
    return view


def side_px(encoder: Any, section: Pixels) -> float:
    """Side of the tissue seen, in pixels of the image."""
    own = float(getattr(encoder, "window_px", 0))
    if own > 0:
        return own
    if not np.isfinite(section.mpp):
        raise DataError(
            f"The image {section.image} has no µm per pixel, and the encoder sees {encoder.window_um:g} µm.",
            "Give mpp in a study manifest, or a window in pixels where the encoder has window_px.",
        )
    return float(encoder.window_um / section.mpp)


@lru_cache(maxsize=1)
def loaded(encoder: Any, where: str) -> WindowEncoder:
    """The function of an encoder, whose weights are read once for all sections of a step."""
    function: WindowEncoder = encoder.load(where)
    return function


def _some(slide: Any, section: Pixels, size_px: float, out_px: int, rng: np.random.Generator) -> Rgb:
    """Windows from all over a section."""
    n = len(section.rows)
    chosen = np.sort(rng.choice(n, size=min(n, SAMPLED), replace=False))
    windows = Windows(section.centres_px[chosen], size_px, out_px)
    return np.concatenate([pixels for _, pixels in stream(slide, windows, BATCH)])
