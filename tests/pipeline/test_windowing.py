"""Windows of sections through an image encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from triptych.core.errors import DataError, NumericsError
from triptych.pipeline.pixels import Pixels
from triptych.pipeline.windowing import windows_view

PIXELS = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Corners:
    """Gives the first and last pixel of each window."""

    window_um: float = 10.0
    tile_px: int = 20
    window_px: int = 0

    def load(self, device):
        return lambda pixels: np.concatenate([pixels[:, 0, 0], pixels[:, -1, -1]], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Plain:
    """As other image encoders, without a side in pixels."""

    window_um: float = 10.0
    tile_px: int = 20
    load = Corners.load


@pytest.fixture
def section(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")

    def make(mpp=0.5, n=150, first=0):
        centres = np.random.default_rng(first).integers(20, 180, (n, 2)).astype(float)
        return Pixels(str(tmp_path / "a.png"), centres, mpp, np.arange(first, first + n))

    return make


def expected(sections, side):
    rows = []
    for one in sections:
        for x, y in (one.centres_px - side / 2).astype(int):
            rows.append(np.concatenate([PIXELS[y, x], PIXELS[y + side - 1, x + side - 1]]))
    return np.array(rows, np.float32)


@pytest.mark.parametrize("encoder", [Plain(), Corners()])
def test_rows_of_all_sections(section, encoder):
    sections = [section(), section(n=70, first=150)]
    found = windows_view(encoder, sections, None, np.random.default_rng(0))
    np.testing.assert_array_equal(found, expected(sections, 20))


@pytest.mark.parametrize("mpp", [0.5, 0.1, np.nan])
def test_a_window_in_pixels_goes_before_one_in_um(section, mpp):
    sections = [section(mpp)]
    found = windows_view(Corners(window_px=20), sections, None, np.random.default_rng(0))
    np.testing.assert_array_equal(found, expected(sections, 20))


@pytest.mark.parametrize("encoder", [Plain(), Corners()])
def test_um_of_an_image_without_a_resolution(section, encoder):
    with pytest.raises(DataError, match=r"a\.png has no µm per pixel, and the encoder sees 10 µm.*Give mpp"):
        windows_view(encoder, [section(np.nan)], None, np.random.default_rng(0))


def test_stain_is_estimated_from_windows_of_the_section(section):
    seen = []

    class Darker:
        def section(self, sample):
            seen.append(sample.shape)
            return lambda pixels: pixels // 2

    sections = [section(n=250)]
    found = windows_view(Corners(), sections, Darker(), np.random.default_rng(0))
    np.testing.assert_array_equal(found, expected(sections, 20) // 2)
    assert seen == [(200, 20, 20, 3)]


def test_errors_of_the_encoder_surface(section):
    class Failing(Corners):
        def load(self, device):
            def encode(pixels):
                raise ZeroDivisionError("in the encoder")

            return encode

    with pytest.raises(ZeroDivisionError, match="in the encoder"):
        windows_view(Failing(), [section()], None, np.random.default_rng(0))


def test_no_windows():
    with pytest.raises(NumericsError, match="no windows"):
        windows_view(Corners(), [], None, np.random.default_rng(0))
