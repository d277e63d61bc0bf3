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
from triptych.tiles.slide import STORE, kind_of, open_slide

WHOLE = 60_000_000  # pixels that may be decoded at once; larger TIFF pages are read tile by tile
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
    if STORE in path and Path(path.partition(STORE)[0]).exists():
        return _from_store(path, scale, window)
    if path and Path(path).is_file():
        return _from_file(Path(path), scale, window)
    return _kept(facts.table.uns.get("spatial", {}).get(sample, {}), window)


def _from_file(path: Path, scale: float, window: Window) -> Thumbnail | None:
    """Decode at about the resolution that is needed: ``scale`` is image pixels per full-resolution pixel."""
    need = min(1.0, WANTED / (max(window.width, window.height) * scale))  # of the image's own resolution
    try:
        with path.open("rb") as file:
            tiff = file.read(2) in {b"II", b"MM"}  # the suffix may lie
        pixels, size = (_tiff if tiff else _plain)(path, need)
    except (TriptychError, SyntaxError, OSError, ValueError, KeyError, IndexError) as error:
        raise UnreadableImageError(f"{path.name} cannot be shown: {error}") from error
    return _cut(pixels, Window(0, 0, size[0] / scale, size[1] / scale), window)


def _from_store(reference: str, scale: float, window: Window) -> Thumbnail | None:
    """Every so many pixels of an image in a SpatialData store, strip by strip."""
    step = max(1, int(max(window.width, window.height) * scale / WANTED))
    try:
        slide = open_slide(reference, scale)
        height, width = slide.shape_px
        tall = max(1, slide.chunk_px[0] // step) * step
        parts = [(top, min(tall, height - top)) for top in range(0, height, tall)]
        strips = [slide.read(0, top, width, rows)[::step, ::step] for top, rows in parts]
    except (TriptychError, OSError) as error:
        raise UnreadableImageError(f"{reference} cannot be shown: {error}") from error
    return _cut(np.concatenate(strips), Window(0, 0, width / scale, height / scale), window)


def _plain(path: Path, need: float) -> tuple[Pixels, tuple[int, int]]:
    # The plug-in class is called directly: Image.open warns of slides, which are large by nature.
    plugin: Any = PLUGINS[kind_of(path)]
    with plugin(path) as image:
        size = image.size
        image.draft("RGB", (max(1, round(size[0] * need)), max(1, round(size[1] * need))))  # JPEG only
        return np.asarray(image.convert("RGB")), size


def _tiff(path: Path, need: float) -> tuple[Pixels, tuple[int, int]]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        levels = [level.keyframe for level in file.series[0].levels]
        full = levels[0]
        size = (full.imagewidth, full.imagelength)
        enough = [page for page in levels if page.imagewidth >= full.imagewidth * need]
        page = enough[-1]
        if page.dtype != np.uint8 or page.samplesperpixel not in {3, 4} or page.planarconfig != 1:
            raise ValueError("it is not an 8-bit RGB image")
        if page.imagewidth * page.imagelength <= WHOLE:
            return page.asarray()[..., :3], size
        return _by_tiles(page, max(1, int(page.imagewidth / (full.imagewidth * need)))), size


def _by_tiles(page: Any, step: int) -> Pixels:
    """Every ``step``-th pixel of a page, one tile or strip in memory at a time."""
    out = np.full((-(-page.imagelength // step), -(-page.imagewidth // step), 3), 255, dtype=np.uint8)
    for tile, (_, _, top, left, _), (_, height, width, _) in page.segments():
        if tile is None:
            continue
        some = tile[0, -top % step : height : step, -left % step : width : step, :3]
        row, column = -(-top // step), -(-left // step)
        room = out[row : row + some.shape[0], column : column + some.shape[1]]
        room[:] = some[: room.shape[0], : room.shape[1]]
    return out


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
