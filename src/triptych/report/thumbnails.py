"""A small picture of a slide, without ever holding the slide in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from triptych.core.errors import TriptychError
from triptych.core.protocols import Pixels
from triptych.plots.window import Window
from triptych.report.facts import Facts
from triptych.tiles.picture import PLUGINS
from triptych.tiles.slide import STORE, VENDORS, kind_of, open_slide

WANTED = 600  # pixels along the longer side of what is shown


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Pixels and where they lie.

    Parameters
    ----------
    pixels
        RGB, shape (h, w, 3).
    extent
        Their outer edges in full-resolution pixels.
    """

    pixels: Pixels
    extent: Window


class UnreadableImageError(Exception):
    """The file is there but cannot be shown; the page says so and goes on."""


def thumbnail(facts: Facts, sample: str, window: Window) -> Thumbnail | None:
    """The slide of a section, shrunk; None when the study has no image of it.

    Parameters
    ----------
    facts
        Knows the image's path and scale, else a small image that was kept in ``uns["spatial"]``.
    sample
        Name of the section.
    window
        What will be shown, in full-resolution pixels.

    Raises
    ------
    UnreadableImageError
        When there is a file that cannot be decoded.
    """
    path = str(facts.about(sample, "image") or "")
    scale = float(facts.about(sample, "image_scale") or 1.0)
    if path and Path(path.partition(STORE)[0]).exists():
        plain = STORE not in path and Path(path).suffix.lower() not in VENDORS and _is_plain(Path(path))
        return _from_file(Path(path), scale, window) if plain else _from_slide(path, scale, window)
    return _kept(facts.table.uns.get("spatial", {}).get(sample, {}), window)


def _from_file(path: Path, scale: float, window: Window) -> Thumbnail | None:
    """A picture that is decoded whole, but a JPEG at about the resolution that is needed."""
    need = min(1.0, WANTED / (max(window.width, window.height) * scale))  # of the image's own resolution
    try:
        pixels, size = _plain(path, need)
    except (TriptychError, SyntaxError, OSError, ValueError, IndexError) as error:
        raise UnreadableImageError(f"{path.name} cannot be shown: {error}") from error
    return _cut(pixels, Window(0, 0, size[0] / scale, size[1] / scale), window)


def _from_slide(reference: str, scale: float, window: Window) -> Thumbnail | None:
    """Every so many pixels of the level that is just fine enough, strip by strip."""
    wanted = max(1.0, max(window.width, window.height) * scale / WANTED)  # image pixels per pixel shown
    try:
        whole = open_slide(reference, scale)
        slide = whole.level(wanted)
        height, width = slide.shape_px
        step = max(1, int(wanted * width / whole.shape_px[1]))
        tall = max(1, slide.chunk_px[0] // step) * step
        parts = [(top, min(tall, height - top)) for top in range(0, height, tall)]
        strips = [slide.read(0, top, width, rows)[::step, ::step] for top, rows in parts]
    except (TriptychError, OSError) as error:
        name = reference if STORE in reference else Path(reference).name
        raise UnreadableImageError(f"{name} cannot be shown: {error}") from error
    rows, columns = whole.shape_px
    return _cut(np.concatenate(strips), Window(0, 0, columns / scale, rows / scale), window)


def _is_plain(path: Path) -> bool:
    """Whether a file is a JPEG or PNG by its first bytes; the suffix may lie."""
    try:
        return kind_of(path) in PLUGINS
    except (TriptychError, OSError) as error:
        raise UnreadableImageError(f"{path.name} cannot be shown: {error}") from error


def _plain(path: Path, need: float) -> tuple[Pixels, tuple[int, int]]:
    # The plug-in class is called directly: Image.open warns of slides, which are large by nature.
    plugin: Any = PLUGINS[kind_of(path)]
    with plugin(path) as image:
        size = image.size
        image.draft("RGB", (max(1, round(size[0] * need)), max(1, round(size[1] * need))))  # JPEG only
        return np.asarray(image.convert("RGB")), size


def _kept(spatial: Any, window: Window) -> Thumbnail | None:
    """The image that Space Ranger's readers keep in ``uns["spatial"]``."""
    for name in ("lowres", "hires"):
        pixels = spatial.get("images", {}).get(name)
        scale = spatial.get("scalefactors", {}).get(f"tissue_{name}_scalef")
        if pixels is None or not scale:
            continue
        pixels = np.asarray(pixels)[..., :3]
        if np.issubdtype(pixels.dtype, np.floating):  # in [0, 1]
            pixels = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
        extent = Window(0, 0, pixels.shape[1] / float(scale), pixels.shape[0] / float(scale))
        return _cut(pixels, extent, window)
    return None


def _cut(pixels: Pixels, extent: Window, window: Window) -> Thumbnail | None:
    """The part inside the window, at most as large as wanted; None when they do not meet."""
    x, y = pixels.shape[1] / extent.width, pixels.shape[0] / extent.height  # pixels per full-resolution pixel
    left, right = max(0, int(window.left * x)), min(pixels.shape[1], int(np.ceil(window.right * x)))
    top, bottom = max(0, int(window.top * y)), min(pixels.shape[0], int(np.ceil(window.bottom * y)))
    if left >= right or top >= bottom:
        return None
    image = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    image.thumbnail((WANTED, WANTED), Image.Resampling.LANCZOS)
    return Thumbnail(np.asarray(image), Window(left / x, top / y, right / x, bottom / y))
