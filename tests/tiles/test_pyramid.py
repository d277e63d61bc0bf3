"""Levels of pyramids: which is read, and that it shows the same place."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from triptych.tiles.slide import Slide, array_slide, coarser_levels, open_slide
from triptych.tiles.windows import Windows, stream

HEIGHT, WIDTH = 451, 613


def smooth() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [127 + 100 * np.sin(x / 40 + k) * np.cos(y / (30 + 5 * k)) for k in range(3)]
    return np.rint(np.stack(planes, axis=2)).astype(np.uint8)


PIXELS = smooth()


def reduced(factor: int) -> np.ndarray:
    """Means of blocks; what is left over at the right and lower border falls away, as scanners do it."""
    h, w = HEIGHT // factor, WIDTH // factor
    blocks = PIXELS[: h * factor, : w * factor].reshape(h, factor, w, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def written(path, factors=(2, 4), kind="ome", compression="zlib"):
    options = {"photometric": "rgb", "compression": compression, "tile": (64, 64)}
    with tifffile.TiffWriter(path, ome=kind == "ome") as writer:
        inside = {"subifds": len(factors)} if kind == "ome" else {"metadata": None}
        writer.write(PIXELS, **inside, **options)
        for factor in factors:
            writer.write(reduced(factor), subfiletype=1, metadata=None, **options)
    return str(path)


def gather(slide, centres, size, out):
    found = np.zeros((len(centres), out, out, 3), np.uint8)
    for indices, pixels in stream(slide, Windows(centres, size, out), 16):
        found[indices] = pixels
    return found


@pytest.mark.parametrize("kind", ["ome", "generic"])
@pytest.mark.parametrize("compression", ["zlib", None])
def test_levels_of_a_tiff(tmp_path, kind, compression):
    slide = open_slide(written(tmp_path / "a.tif", kind=kind, compression=compression))
    assert slide.shape_px == (HEIGHT, WIDTH)
    assert [level.shape_px for level in slide.coarser] == [(225, 306), (112, 153)]
    for level, factor in zip(slide.coarser, (2, 4), strict=True):
        np.testing.assert_array_equal(level.read(70, 50, 60, 55), reduced(factor)[50:105, 70:130])


def test_levels_of_a_store(tmp_path):
    import spatialdata
    from spatialdata.models import Image2DModel

    image = Image2DModel.parse(np.moveaxis(PIXELS, -1, 0), dims=("c", "y", "x"), scale_factors=[2, 2])
    spatialdata.SpatialData(images={"he": image}).write(tmp_path / "s.zarr")
    slide = open_slide(f"{tmp_path}/s.zarr::images/he")
    assert [level.shape_px for level in slide.coarser] == [(225, 306), (112, 153)]
    found = gather(slide, np.array([[300.0, 200.0]]), 128.0, 32)[0].astype(int)
    assert np.abs(found - gather(array_slide(PIXELS), np.array([[300.0, 200.0]]), 128.0, 32)[0]).max() <= 12


def blank(height: int, width: int) -> Slide:
    return array_slide(np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("reduction", "width"),
    [(0.5, 1000), (1, 1000), (1.999, 1000), (2, 500), (3.9, 500), (4, 250), (15, 250), (16, 62), (900, 62)],
)
def test_the_coarsest_level_that_is_fine_enough(reduction, width):
    slide = coarser_levels(blank(1000, 1000), [blank(side, side) for side in (500, 250, 62)])
    assert slide.level(reduction).shape_px[1] == width


def test_rounded_sides_do_not_push_a_level_out():
    slide = coarser_levels(blank(2001, 3001), [blank(1000, 1500)])
    assert slide.level(2).shape_px == (1000, 1500)


def test_pictures_of_another_part_are_no_levels():
    """E.g. the macro photograph of the glass."""
    slide = coarser_levels(blank(1000, 2000), [blank(500, 1000), blank(300, 301), blank(125, 250)])
    assert [level.shape_px for level in slide.coarser] == [(500, 1000), (125, 250)]


@pytest.mark.parametrize(("size", "out"), [(20.0, 20), (31.5, 16), (63.9, 32)])
def test_windows_reduced_by_less_than_two_are_read_as_ever(tmp_path, size, out):
    centres = np.random.default_rng(0).uniform(0, (WIDTH, HEIGHT), (30, 2))
    pyramid = gather(open_slide(written(tmp_path / "a.tif")), centres, size, out)
    np.testing.assert_array_equal(pyramid, gather(array_slide(PIXELS), centres, size, out))


@pytest.mark.parametrize(("size", "out"), [(64.0, 32), (70.3, 32), (128.0, 32), (150.0, 16), (300.0, 8)])
def test_coarser_levels_show_the_same_place(tmp_path, size, out):
    """One pixel of a level off would be a difference of the gradient times its width."""
    margin = size / 2 + 8  # borders are another test
    centres = np.random.default_rng(0).uniform(margin, (WIDTH - margin, HEIGHT - margin), (40, 2))
    slide = open_slide(written(tmp_path / "a.tif", factors=(2, 4, 8)))
    level = slide.level(size / out)
    assert level is not slide
    one_px = 5.0 * WIDTH / level.shape_px[1]  # the steepest slope is 5 a pixel
    found, expected = (gather(s, centres, size, out).astype(float) for s in (slide, array_slide(PIXELS)))
    difference = np.abs(found - expected)
    assert difference.max() <= one_px
    assert difference.mean() <= one_px / 4


def test_the_border_of_a_level_is_that_of_the_slide(tmp_path):
    slide = open_slide(written(tmp_path / "a.tif", factors=(4,)))
    found = gather(slide, np.array([[0.0, 0.0], [WIDTH, HEIGHT]]), 128.0, 32)
    assert (found[0, :16] == 255).all()
    assert (found[0, 16:, :16] == 255).all()
    assert (found[0, 17:, 17:] < 250).all()
    assert (found[1, 17:] == 255).all()
    assert (found[1, :15, :15] < 250).all()


def test_only_the_level_is_decoded(tmp_path, monkeypatch):
    slide = open_slide(written(tmp_path / "a.tif", factors=(4,)))
    monkeypatch.setattr(slide.region.__self__, "chunk", None)  # calling it would fail
    assert gather(slide, np.array([[300.0, 200.0]]), 128.0, 32).shape == (1, 32, 32, 3)
