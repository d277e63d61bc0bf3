"""Scanners' formats by way of OpenSlide. No scanner's file is at hand: these are written as Aperio's are."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.errors import DataError, MissingExtraError
from triptych.tiles import vendor
from triptych.tiles.slide import array_slide, open_slide
from triptych.tiles.windows import Windows, stream

openslide = pytest.importorskip("openslide", reason="openslide is an extra: pip install 'triptych[slides]'")
HEIGHT, WIDTH = 640, 960


def smooth() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [140 + 80 * np.sin(x / 60 + k) * np.cos(y / (50 + 5 * k)) for k in range(3)]
    return np.rint(np.stack(planes, axis=2)).astype(np.uint8)


PIXELS = smooth()


def aperio(path, compression="jpeg"):
    """The slide in tiles, a thumbnail, and a level of a quarter of the resolution."""
    about = (
        "Aperio Image Library v11.2.1\n{0}x{1} [0,0 {0}x{1}] (256x256) JPEG/RGB Q=95|AppMag = 40|MPP = 0.25"
    )
    tiles = {"tile": (256, 256), "compression": compression}
    strips = {"rowsperstrip": 16, "compression": "jpeg"}
    with tifffile.TiffWriter(path) as writer:
        for step, layout in ((1, tiles), (8, strips), (4, tiles)):
            part = np.ascontiguousarray(PIXELS[step // 2 :: step, step // 2 :: step])
            said = about.format(part.shape[1], part.shape[0])
            writer.write(part, description=said, photometric="rgb", metadata=None, **layout)
    return path


def same(found, expected, within):
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= within


@pytest.mark.parametrize(("compression", "within"), [("jpeg", 25), ("lzw", 0), (None, 0)])
def test_aperio(tmp_path, compression, within):
    path = aperio(tmp_path / "a.svs", compression)
    assert openslide.OpenSlide.detect_format(path) == "aperio"
    slide = open_slide(str(path))
    assert slide.shape_px == (HEIGHT, WIDTH)
    assert slide.chunk_px == (512, 512)
    assert [level.shape_px for level in slide.coarser] == [(160, 240)]  # without the thumbnail
    for x0, y0, width, height in [(0, 0, WIDTH, HEIGHT), (500, 500, 30, 40), (955, 635, 5, 5)]:
        found = slide.read(x0, y0, width, height)
        same(found, PIXELS[y0 : y0 + height, x0 : x0 + width], within)
    same(slide.coarser[0].read(100, 100, 140, 60), PIXELS[402::4, 402::4][:60, :140], within)
    assert (slide.read(-10, -10, 10, 10) == 255).all()


def test_aperio_in_jpeg_2000(tmp_path):
    path = aperio(tmp_path / "a.svs", "aperio_jp2000_rgb")
    same(open_slide(str(path)).read(3, 4, 600, 600), PIXELS[4:604, 3:603], 3)


def test_windows_are_read_from_the_level(tmp_path):
    slide = open_slide(str(aperio(tmp_path / "a.svs")))
    centres = np.random.default_rng(0).uniform(0, (WIDTH, HEIGHT), (20, 2))
    for name, size, out in (("slide", 40.0, 40), ("level", 128.0, 32)):
        windows = Windows(centres, size, out)
        pairs = zip(stream(slide, windows, 8), stream(array_slide(PIXELS), windows, 8), strict=True)
        found = {int(i): p for (some, pixels), _ in pairs for i, p in zip(some, pixels, strict=True)}
        plain = stream(array_slide(PIXELS), windows, 8)
        for some, pixels in plain:
            for i, expected in zip(some, pixels, strict=True):
                difference = np.abs(found[int(i)].astype(int) - expected)
                assert np.median(difference) <= 4, name


def test_generic_pyramid_under_a_scanners_suffix(tmp_path):
    path = tmp_path / "a.svs"
    options = {"photometric": "rgb", "compression": "zlib", "tile": (256, 256), "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(PIXELS, **options)
        writer.write(np.ascontiguousarray(PIXELS[::2, ::2]), subfiletype=1, **options)
    assert openslide.OpenSlide.detect_format(path) == "generic-tiff"
    slide = open_slide(str(path))
    same(slide.read(0, 0, WIDTH, HEIGHT), PIXELS, 0)
    same(slide.coarser[0].read(0, 0, 480, 320), PIXELS[::2, ::2], 0)


def test_plain_tiff_under_a_scanners_suffix(tmp_path):
    path = tmp_path / "a.scn"
    tifffile.imwrite(path, PIXELS, photometric="rgb")
    assert openslide.OpenSlide.detect_format(path) is None
    same(open_slide(str(path)).read(0, 0, WIDTH, HEIGHT), PIXELS, 0)


def test_what_the_scanner_left_out_is_white(tmp_path):
    path = tmp_path / "a.svs"
    tiles = (np.full((256, 256, 3), 90, np.uint8) if k == 0 else None for k in range(4))
    tifffile.imwrite(
        path, tiles, shape=(512, 512, 3), dtype=np.uint8, tile=(256, 256), photometric="rgb",
        compression="jpeg", description="Aperio x|MPP = 0.25", metadata=None,
    )  # fmt: skip
    found = open_slide(str(path)).read(0, 0, 512, 512)
    assert np.abs(found[:256, :256].astype(int) - 90).max() <= 1
    assert (found[256:] == 255).all()
    assert (found[:, 256:] == 255).all()


def test_half_transparent_pixels_are_laid_on_white():
    pixels = np.array([[[100, 0, 200, 255], [100, 0, 200, 0], [100, 0, 200, 51]]], np.uint8)
    np.testing.assert_array_equal(vendor._on_white(pixels)[0], [[100, 0, 200], [255] * 3, [224, 204, 244]])


@pytest.mark.parametrize("suffix", ["mrxs", "svs", "scn"])
def test_what_openslide_does_not_recognise(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PIXELS).save(path, "JPEG")  # e.g. a .mrxs without its folder
    with pytest.raises(DataError, match=r"no slide that OpenSlide recognises.*folder of the same name"):
        open_slide(str(path))


@pytest.mark.parametrize("kept", [0.001, 0.02, 0.5, 0.9])
def test_truncated(tmp_path, kept):
    path = aperio(tmp_path / "a.svs")
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DataError, match=r"cannot be decoded|cut short|neither"):
        open_slide(str(path)).read(0, 0, WIDTH, HEIGHT)


def test_corrupted_tiles(tmp_path):
    path = aperio(tmp_path / "a.svs")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 200] = b"x" * 200
    path.write_bytes(data)
    slide = open_slide(str(path))
    for _ in range(2):  # OpenSlide stays in error
        with pytest.raises(DataError, match="cannot be decoded"):
            slide.read(0, 0, 10, 10)


def test_without_openslide(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError, match=r"openslide is not installed.*triptych\[slides\]"):
        open_slide(str(aperio(tmp_path / "a.svs")))


WITHOUT = """
import sys
sys.modules["imagecodecs"] = None
from triptych.core.errors import MissingExtraError
from triptych.tiles.slide import open_slide
for path in sys.argv[1:]:
    try:
        print(open_slide(path).read(0, 0, 9, 9).shape)
    except MissingExtraError as error:
        print(error)
"""


def test_without_imagecodecs(tmp_path):
    """In a process of its own, as tifffile keeps what it found."""
    paths = []
    for name in ("jpeg", "lzw", "jpeg2000", "zlib"):
        paths.append(str(tmp_path / f"{name}.tif"))
        tifffile.imwrite(paths[-1], PIXELS, photometric="rgb", compression=name, tile=(256, 256))
    done = subprocess.run([sys.executable, "-c", WITHOUT, *paths], capture_output=True, text=True, check=True)
    jpeg, lzw, jpeg_2000, zlib = done.stdout.splitlines()
    assert "jpeg.tif is compressed as JPEG, and imagecodecs is not installed." in jpeg
    assert "compressed as LZW" in lzw
    assert "compressed as JPEG2000" in jpeg_2000
    assert jpeg.endswith("pip install 'triptych[slides]'")
    assert zlib == "(9, 9, 3)"


def test_unknown_compression():
    page = SimpleNamespace(photometric=tifffile.PHOTOMETRIC.RGB, compression=32766, predictor=1)
    from triptych.tiles.tiff_coding import check_coding

    with pytest.raises(DataError, match="a.tif is compressed as 32766, which is not read"):
        check_coding("a.tif", page)


@pytest.mark.parametrize("photometric", ["cielab", "ycbcr", "miniswhite"])
def test_tiff_of_other_colours(tmp_path, photometric):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric=photometric, planarconfig="contig", compression="zlib")
    with pytest.raises(DataError, match=f"not RGB: its colours are written as {photometric.upper()}"):
        open_slide(str(path))
