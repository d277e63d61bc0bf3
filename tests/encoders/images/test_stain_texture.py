from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from triptych.core.errors import RecipeError
from triptych.core.protocols import ImageEncoder
from triptych.core.registry import Registry
from triptych.encoders.images.stain_texture import StainTexture

PIXELS = np.random.default_rng(1).integers(0, 256, (11, 40, 40, 3), dtype=np.uint8)
SMALL = StainTexture(window_um=40.0)
PINNED = (0.230824, 0.535259, 0.329643, -0.712367, 0.161888, 1.742361)  # of revision 1


def column(name: str) -> int:
    return StainTexture.names.index(name)


def test_is_an_image_encoder():
    assert isinstance(StainTexture(), ImageEncoder)
    assert StainTexture().tile_px == 150
    assert StainTexture(window_um=112.0, mpp=0.5).tile_px == 224


def test_names_fit_the_columns():
    found = SMALL.load("cpu")(PIXELS)
    assert found.shape == (11, len(StainTexture.names)) == (11, 40)
    assert found.dtype == np.float32
    assert len(set(StainTexture.names)) == 40


def test_columns_mean_what_their_names_say():
    found = SMALL.load("cpu")(PIXELS)
    scaled = PIXELS / 255
    np.testing.assert_allclose(found[:, column("green_mean")], scaled[..., 1].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[:, column("blue_sd")], scaled[..., 2].std(axis=(1, 2)), rtol=1e-5)
    medians = [np.quantile(w[..., 0], 0.5, method="inverted_cdf") for w in scaled]
    np.testing.assert_allclose(found[:, column("red_q50")], medians, rtol=1e-5)
    density = -np.log10(np.maximum(PIXELS, 1) / 255).mean(axis=-1)
    np.testing.assert_allclose(
        found[:, column("tissue_share")], (density > 0.08).mean(axis=(1, 2)), rtol=1e-5
    )


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_constant_windows_are_finite(value):
    found = SMALL.load("cpu")(np.full((3, 40, 40, 3), value, np.uint8))
    assert np.isfinite(found).all()
    assert found[0, column("nuclei_per_1000um2")] == 0
    assert found[0, column("h_e_correlation")] == 0
    assert found[0, column("h_gradient_1px")] == 0


def test_a_window_does_not_depend_on_its_batch():
    encode = SMALL.load("cpu")
    whole = encode(PIXELS)
    alone = np.concatenate([encode(PIXELS[i : i + 1]) for i in range(len(PIXELS))])
    np.testing.assert_array_equal(whole, alone)


def test_no_window():
    assert SMALL.load("cpu")(PIXELS[:0]).shape == (0, 40)


def test_input_is_left_alone():
    before = PIXELS.copy()
    SMALL.load("cpu")(PIXELS)
    np.testing.assert_array_equal(before, PIXELS)


def test_smallest_window_works():
    found = StainTexture(window_um=16.0).load("cpu")(PIXELS[:, :16, :16])
    assert np.isfinite(found).all()


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="must be positive, got -1"):
        StainTexture(window_um=-1.0)
    with pytest.raises(ValueError, match="must be positive"):
        StainTexture(mpp=float("nan"))
    with pytest.raises(ValueError, match="from 16 to 1024 px, got 10"):
        StainTexture(window_um=10.0)


def test_registry_reports_them():
    table = {"stain-texture": "triptych.encoders.images.stain_texture:StainTexture"}
    with pytest.raises(RecipeError, match="from 16 to 1024 px"):
        Registry("encoders", (ImageEncoder,), table).make("stain-texture", {"window_um": 5000})


def test_numbers_are_pinned():
    y, x = np.mgrid[0:40, 0:40]
    window = np.stack([(x * 6) % 256, (y * 5 + x) % 256, (x * y) % 256], axis=-1).astype(np.uint8)
    found = SMALL.load("cpu")(window[None])[0]
    names = ("green_sd", "h_mean", "e_q90", "h_e_correlation", "h_gradient_2px", "h_contrast_4px")
    np.testing.assert_allclose([found[column(n)] for n in names], PINNED, rtol=1e-4)


@pytest.mark.slow
def test_throughput():
    pixels = np.random.default_rng(0).integers(0, 256, (128, 150, 150, 3), dtype=np.uint8)
    encode = StainTexture().load("cpu")
    start = time.process_time()
    encode(pixels)
    assert 128 / (time.process_time() - start) > 200  # half of the target, for busy machines


@pytest.mark.data
def test_nuclei_of_a_real_section():
    root = os.environ.get("TRIPTYCH_DATA")
    if not root or not (image := Path(root) / "her2st/images/C2.jpg").is_file():
        pytest.skip("TRIPTYCH_DATA names no folder with her2st")
    import pandas as pd

    from triptych.tiles.slide import open_slide
    from triptych.tiles.windows import Windows, stream

    spots = pd.read_csv(Path(root) / "her2st/spots/C2_selection.tsv", sep="\t")
    encoder = StainTexture()
    windows = Windows(spots[["pixel_x", "pixel_y"]].to_numpy(), 150 / 0.737, encoder.tile_px)
    encode = encoder.load("cpu")
    found = np.concatenate([encode(pixels) for _, pixels in stream(open_slide(str(image)), windows, 64)])
    assert np.isfinite(found).all()
    assert 1.5 < np.median(found[:, column("nuclei_per_1000um2")]) < 6  # a carcinoma: 1500 to 6000 per mm²
