"""One real slide as JPEG and as tiled pyramidal TIFF: the same grid, patches and features."""

import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.errors import TriptychWarning
from triptych.encoders.images.stain_texture import StainTexture
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.tiles.slide import open_slide
from triptych.tiles.windows import Windows, stream

MPP = 0.6  # of these scans, about


def pyramid(path, pixels, **packed):
    """Three levels of tiles, each half as large as the one before."""
    facts = {"photometric": "rgb", "tile": (512, 512), "metadata": None, **packed}
    size = {"resolution": (1e4 / MPP, 1e4 / MPP), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, subifds=2, **size, **facts)
        for step in (2, 4):
            writer.write(np.asarray(Image.fromarray(pixels).reduce(step)), subfiletype=1, **facts)
    return path


def patches(path, centres, size_px, out_px):
    found = np.zeros((len(centres), out_px, out_px, 3), np.uint8)
    for rows, pixels in stream(open_slide(str(path)), Windows(centres, size_px, out_px), 64):
        found[rows] = pixels
    return found


def grid(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TriptychWarning)
        return read(path, ReadOptions(mpp=MPP, pitch_um=200.0)).obsm["spatial"]


def features(pixels):
    return StainTexture(window_um=150.0, mpp=150.0 / pixels.shape[1]).load("cpu")(pixels)


@pytest.mark.data
def test_a_jpeg_and_a_tiff_of_it_give_the_same(real_data, tmp_path):
    """Measured: deflate, none; JPEG of quality 95, at most 19, on average 0.6 of 255; features, 0.04 sd."""
    image = real_data / "her2st" / "images" / "C2.jpg"
    slide = open_slide(str(image))
    whole = slide.read(0, 0, slide.shape_px[1], slide.shape_px[0])
    centres = grid(image)
    lossless = pyramid(tmp_path / "a.tif", whole, compression="zlib", compressionargs={"level": 1})
    lossy = pyramid(tmp_path / "b.tif", whole, compression="jpeg", compressionargs={"level": 95})
    assert np.array_equal(grid(lossless), centres)
    assert np.array_equal(grid(lossy), centres)
    for size_px, out_px in ((224.0, 224), (250.0, 150)):
        expected = patches(image, centres, size_px, out_px)
        assert np.array_equal(patches(lossless, centres, size_px, out_px), expected)
        apart = np.abs(patches(lossy, centres, size_px, out_px).astype(int) - expected)
        assert apart.max() <= 32
        assert apart.mean() < 1.0
    told, other = features(expected), features(patches(lossy, centres, size_px, out_px))
    assert (np.abs(told - other) / told.std(axis=0)).mean() < 0.06
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(told.T, other.T, strict=True)) > 0.99
