"""A slide at another resolution: regions agree, and inside it is what Pillow makes of the whole picture."""

import numpy as np
import pytest
from PIL import Image

from triptych.tiles.rescaled import Rescaled
from triptych.tiles.slide import array_slide, coarser_levels


@pytest.fixture
def pixels(rng):
    coarse = rng.integers(0, 256, (30, 40, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((200, 150), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("scale", [0.5, 0.37, 0.25, 1.6, 2.0])
def test_inside_it_is_the_whole_picture_resized(pixels, scale):
    picture = Rescaled(array_slide(pixels), scale)
    height, width = picture.shape_px
    assert (height, width) == (round(150 * scale), round(200 * scale))
    box = (0, 0, width / scale, height / scale)  # sides of the picture need not be whole numbers of pixels
    padded = np.pad(pixels, ((0, 2), (0, 2), (0, 0)), constant_values=255)
    whole = np.asarray(Image.fromarray(padded).resize((width, height), Image.Resampling.BILINEAR, box))
    found = picture.read(0, 0, width, height)
    rim = 2
    inside = (slice(rim, -rim), slice(rim, -rim))
    assert np.abs(found[inside].astype(int) - whole[inside]).max() <= 1


@pytest.mark.parametrize("scale", [0.5, 0.37, 1.6])
def test_regions_that_overlap_agree(pixels, scale):
    picture = Rescaled(array_slide(pixels), scale)
    height, width = picture.shape_px
    whole = picture.read(0, 0, width, height).astype(int)
    for x, y, wide, tall in ((0, 0, 20, 20), (7, 11, 31, 25), (width - 20, height - 15, 20, 15)):
        part = picture.read(x, y, wide, tall).astype(int)
        assert np.abs(part - whole[y : y + tall, x : x + wide]).max() <= 1


def test_at_its_own_resolution_it_is_the_slide(pixels):
    slide = array_slide(pixels)
    for scale in (1.0, 1.0004):
        assert np.array_equal(Rescaled(slide, scale).read(3, -5, 40, 60), slide.read(3, -5, 40, 60))


def test_beyond_the_slide_it_is_white(pixels):
    picture = Rescaled(array_slide(pixels), 0.5)
    found = picture.read(-30, 0, 40, 20)
    assert (found[:, :28] == 255).all()
    assert np.abs(found[:, 32:].astype(int) - picture.read(2, 0, 8, 20)).max() <= 1


def test_a_pyramid_is_read_at_the_level_that_is_fine_enough(pixels):
    small = np.asarray(Image.fromarray(pixels).resize((100, 75), Image.Resampling.BOX))
    pyramid = coarser_levels(array_slide(pixels), [array_slide(small)])
    plain = Rescaled(array_slide(pixels), 0.4).read(5, 5, 60, 40).astype(int)
    found = Rescaled(pyramid, 0.4).read(5, 5, 60, 40).astype(int)
    assert np.abs(found - plain).mean() < 4  # places agree, though the filters differ
    shifted = np.roll(plain, 1, axis=1)
    assert np.abs(found - plain).mean() < 0.6 * np.abs(found - shifted).mean()


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_a_scale_must_be_a_positive_number(pixels, scale):
    with pytest.raises(ValueError, match="scale must be a positive number"):
        Rescaled(array_slide(pixels), scale)


def test_even_a_tiny_picture_has_a_pixel():
    assert Rescaled(array_slide(np.zeros((3, 3, 3), np.uint8)), 0.01).shape_px == (1, 1)
