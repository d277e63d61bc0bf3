from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from triptych.core.errors import DataError
from triptych.tiles.slide import array_slide, open_slide
from triptych.tiles.windows import Windows, stream

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (300, 400, 3), dtype=np.uint8)
SLIDE = array_slide(PIXELS)


def gather(slide, windows, batch=7):
    out = np.zeros((len(windows.centres_px), windows.out_px, windows.out_px, 3), np.uint8)
    seen = []
    for indices, pixels in stream(slide, windows, batch):
        assert len(indices) == len(pixels) <= batch
        out[indices] = pixels
        seen += indices.tolist()
    assert sorted(seen) == list(range(len(out)))
    return out


@pytest.mark.parametrize("size", [1, 16, 31])
def test_whole_pixels_are_naive_crops(size):
    centres = RNG.uniform(size, 300 - size, (40, 2))
    found = gather(SLIDE, Windows(centres, size, size))
    for window, (x, y) in zip(found, centres, strict=True):
        x0, y0 = round(x - size / 2), round(y - size / 2)
        np.testing.assert_array_equal(window, PIXELS[y0 : y0 + size, x0 : x0 + size])


def test_reduced_windows_are_weighted_means():
    size, out = 32, 8
    found = gather(SLIDE, Windows(np.array([[100.0, 120.0]]), size, out))[0].astype(float)
    crop = PIXELS[104:136, 84:116].astype(float)
    centre = (np.arange(out) + 0.5) * size / out
    weight = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - centre[:, None]) * out / size)
    weight /= weight.sum(axis=1, keepdims=True)
    expected = np.einsum("iy,jx,yxc->ijc", weight, weight, crop)
    np.testing.assert_allclose(found, expected, atol=1)


def test_side_is_not_rounded():
    """On a ramp the mean of a window of 10.5 px lies a quarter of a pixel right of that of 10 px."""
    ramp = np.tile((10 * np.arange(25, dtype=np.uint8))[None, :, None], (25, 1, 3))
    centres = np.array([[12.0, 12.0]])
    whole = gather(array_slide(ramp), Windows(centres, 10.0, 1)).mean()
    origin = np.floor(12 - 10.5 / 2 + 0.5)
    part = gather(array_slide(ramp), Windows(centres, 10.5, 1)).mean()
    assert whole == pytest.approx(115, abs=1.1)
    assert part == pytest.approx(10 * (origin + 10.5 / 2 - 0.5), abs=1.6)


def test_enlarged_windows():
    assert gather(SLIDE, Windows(np.array([[50.0, 50.0]]), 5, 20)).shape == (1, 20, 20, 3)


@pytest.mark.parametrize(("size", "out"), [(32, 224), (5, 20), (30, 31), (1, 3), (75, 299)])
def test_enlarging_a_batch_is_what_pillow_does_to_each(size, out):
    centres = RNG.uniform(-size / 3, 300, (20, 2))
    origins = np.floor(centres - size / 2 + 0.5).astype(int)
    for window, (x0, y0) in zip(gather(SLIDE, Windows(centres, size, out)), origins, strict=True):
        crop = Image.fromarray(SLIDE.read(int(x0), int(y0), size, size))
        expected = np.asarray(crop.resize((out, out), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(window - expected).max() <= 1  # none where the processor has AVX2


def test_borders_are_white():
    found = gather(SLIDE, Windows(np.array([[0.0, 0.0], [400.0, 300.0]]), 20, 20))
    np.testing.assert_array_equal(found[0, 10:, 10:], PIXELS[:10, :10])
    np.testing.assert_array_equal(found[1, :10, :10], PIXELS[-10:, -10:])
    assert (found[0, :10] == 255).all()
    assert (found[1, 10:] == 255).all()


def test_scale_of_the_slide():
    centres = RNG.uniform(40, 250, (9, 2))
    plain = gather(SLIDE, Windows(centres, 40.0, 40))
    scaled = gather(array_slide(PIXELS, scale=0.25), Windows(centres * 4, 160.0, 40))
    np.testing.assert_array_equal(plain, scaled)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_order_and_batch_do_not_matter(seed, batch):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 300, (25, 2))
    order = rng.permutation(25)
    one = gather(SLIDE, Windows(centres, 24.3, 12), batch)
    other = gather(SLIDE, Windows(centres[order], 24.3, 12), 25)
    np.testing.assert_array_equal(one[order], other)


def test_no_windows():
    assert list(stream(SLIDE, Windows(np.empty((0, 2)), 5.0, 5), 4)) == []


def test_a_large_tiff_is_not_held_and_each_tile_is_decoded_once(tmp_path):
    path = tmp_path / "large.tif"
    side, tile = 6000, 512
    tiles = (np.full((tile, tile, 3), i, np.uint8) for i in range(12 * 12))
    tifffile.imwrite(
        path,
        tiles,
        shape=(side, side, 3),
        dtype=np.uint8,
        tile=(tile, tile),
        photometric="rgb",
        compression="zlib",
    )
    centres = np.random.default_rng(1).uniform(0, side, (600, 2))
    tracemalloc.start()
    slide = open_slide(str(path))
    chunk = slide.region.__self__.chunk
    for indices, pixels in stream(slide, Windows(centres, 100.0, 100), 32):
        x, y = (centres[indices] // tile).astype(int).T
        np.testing.assert_array_equal(pixels[:, 50, 50, 0], y * 12 + x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chunk.cache_info().misses <= 144
    assert peak < 140 * 2**20 + 32 * 100 * 100 * 3 * 4


def test_few_chunks_are_kept_and_still_decoded_about_once(monkeypatch, tmp_path):
    monkeypatch.setattr("triptych.tiles.mosaic.KEPT_BYTES", 2 * 8 * 64 * 64 * 3)
    pixels = np.random.default_rng(3).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(64, 64), compression="zlib")
    centres = np.random.default_rng(4).uniform(0, 512, (500, 2))
    slide = open_slide(str(path))
    found = gather(slide, Windows(centres, 20, 20))
    np.testing.assert_array_equal(found, gather(array_slide(pixels), Windows(centres, 20, 20)))
    assert slide.region.__self__.chunk.cache_info().misses <= 2 * 64


def test_windows_off_the_slide():
    centres = np.array([[10.0, 10.0], [900.0, 10.0], [10.0, -80.0]])
    with pytest.raises(DataError, match=r"2 of 3 windows lie off the slide of 400 × 300 px.*x = 900, y = 10"):
        list(stream(SLIDE, Windows(centres, 20.0, 20), 4))


def test_window_too_wide():
    with pytest.raises(DataError, match="A window is 90000 px wide; at most 16384"):
        list(stream(SLIDE, Windows(np.array([[1.0, 1.0]]), 90000.0, 20), 4))


def test_parameters_are_checked():
    centres = np.array([[1.0, 1.0]])
    with pytest.raises(DataError, match=r"the shape \(2,\), not \(n, 2\)"):
        Windows(np.array([1.0, 2.0]), 5.0, 5)
    with pytest.raises(DataError, match="1 of 1 centres of windows are not finite"):
        Windows(np.array([[np.nan, 1.0]]), 5.0, 5)
    with pytest.raises(ValueError, match="size_px must be a positive number, got 0"):
        Windows(centres, 0.0, 5)
    with pytest.raises(ValueError, match="out_px must be at least 1, got 0"):
        Windows(centres, 5.0, 0)
    with pytest.raises(ValueError, match="batch and depth must be at least 1, got 0 and 4"):
        list(stream(SLIDE, Windows(centres, 5.0, 5), 0))
