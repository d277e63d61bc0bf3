"""From a drawing to a file in ``figures`` and an image in the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from triptych.plots.palette import INK
from triptych.report.markup import Html, data_uri, tag

DPI = 150
HEAVIEST = 150_000  # bytes of one image in the page
LIGHT_INK = "#C7CDD4"
MID_INK = "#848C96"  # shows on white and on dark paper
Draw = Callable[[Axes, str], None]  # axes, colour of text and lines


def slug(text: str) -> str:
    """A file name that leaves no folder: ASCII letters and digits, in small letters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "x"


@dataclass
class Canvas:
    """Draws figures into a folder and hands back what the page shows.

    Parameters
    ----------
    folder
        Exists already.
    written
        Names of the files so far.
    """

    folder: Path
    written: list[str] = field(default_factory=list)

    def panel(self, name: str, draw: Draw, size: tuple[float, float], alt: str) -> Html:
        """A map without a frame, on transparent paper in the page and on white paper in the file.

        Parameters
        ----------
        name
            Of the file, without its ending.
        draw
            Fills the axes.
        size
            Inches.
        alt
            What the image shows, in words.
        """
        image = _render(draw, size, MID_INK, bare=True)
        self._file(name, image)
        return _picture(image, alt)

    def photograph(self, name: str, draw: Draw, size: tuple[float, float], alt: str) -> Html:
        """The same for a slide, as JPEG in the page."""
        image = _render(draw, size, "#000000", bare=True)
        white = self._file(name, image, photograph=True)
        return tag("img", src=data_uri(_jpeg(white), "jpeg"), alt=alt, **_pixels(image))

    def chart(self, name: str, draw: Draw, size: tuple[float, float], alt: str) -> Html:
        """A drawing with text: the page holds one for light and one for dark paper."""
        light, dark = (_render(draw, size, ink, bare=False) for ink in (INK, LIGHT_INK))
        self._file(name, light)
        night = tag(
            "source", media="screen and (prefers-color-scheme: dark)", srcset=data_uri(_png(dark), "png")
        )
        return tag("picture", night, _picture(light, alt))

    def aside(self, name: str, draw: Draw, size: tuple[float, float]) -> None:
        """A file that the page has in another form, e.g. a legend."""
        self._file(name, _render(draw, size, INK, bare=False))

    def _file(self, name: str, image: Image.Image, *, photograph: bool = False) -> Image.Image:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        dither = Image.Dither.FLOYDSTEINBERG if photograph else Image.Dither.NONE
        reduced = white.quantize(256, method=Image.Quantize.MEDIANCUT, dither=dither)
        reduced.save(self.folder / f"{name}.png", dpi=(DPI, DPI))
        self.written.append(f"{name}.png")
        return white


def _render(draw: Draw, size: tuple[float, float], ink: str, *, bare: bool) -> Image.Image:
    figure = Figure(figsize=size, dpi=DPI, layout=None if bare else "constrained")
    figure.patch.set_alpha(0)
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1)) if bare else figure.add_subplot()
    ax.patch.set_alpha(0)
    draw(ax, ink)
    canvas.draw()
    return Image.fromarray(np.array(canvas.buffer_rgba()))


def _picture(image: Image.Image, alt: str) -> Html:
    return tag("img", src=data_uri(_png(image), "png"), alt=alt, **_pixels(image))


def _pixels(image: Image.Image) -> dict[str, int]:
    return {"width": image.width, "height": image.height}


def _png(image: Image.Image) -> bytes:
    """At most 256 colours, and smaller until it weighs no more than `HEAVIEST`."""
    while True:
        payload = BytesIO()
        image.quantize(256, method=Image.Quantize.FASTOCTREE).save(payload, "PNG")
        if payload.tell() <= HEAVIEST or min(image.size) < 100:
            return payload.getvalue()
        image = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image) -> bytes:
    """At a quality that weighs no more than `HEAVIEST`."""
    for quality in (85, 70, 50, 30):
        payload = BytesIO()
        image.save(payload, "JPEG", quality=quality, optimize=True, progressive=True)
        if payload.tell() <= HEAVIEST:
            break
    return payload.getvalue()
