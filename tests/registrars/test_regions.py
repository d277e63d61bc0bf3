"""Which regions are looked at, and the density of haematoxylin in them."""

import numpy as np
import pytest
from skimage.color import hed_from_rgb, separate_stains

from triptych.registrars.regions import DARKEST, STAINS, Region, Search, haematoxylin, spread, tiled
from triptych.tiles.slide import array_slide

SEARCH = Search.of(10.0, 125.0, 0.25)


def test_lengths_in_pixels():
    assert (SEARCH.factor, SEARCH.reach, SEARCH.margin_px, SEARCH.side_px) == (2, 20, 40, 500.0)
    assert SEARCH.sigma(5.0) == 10
    assert Search.of(10.0, 125.0, 1.0).factor == 1


def test_regions_cover_what_has_nuclei_and_count_them(rng):
    picture = array_slide(np.zeros((900, 1700, 3), np.uint8))
    centres = rng.uniform([0, 0], [800, 900], (300, 2))
    found = tiled(centres, picture, SEARCH)
    inside = ((centres >= 40) & (centres[:, 1:] <= 860)).all(axis=1)
    assert sum(one.nuclei for one in found) == pytest.approx(inside.sum(), abs=2)
    for one in found:
        assert min(one.x0, one.y0) >= 0
        assert one.x0 + one.width <= 850
        assert one.y0 + one.height <= 900
        assert all(v % 2 == 0 for v in (one.x0, one.y0, one.width, one.height))


def test_nuclei_beside_the_picture_make_no_region():
    picture = array_slide(np.zeros((900, 900, 3), np.uint8))
    assert tiled(np.full((50, 2), 2000.0), picture, SEARCH) == []
    assert tiled(np.empty((0, 2)), picture, SEARCH) == []


def test_regions_are_spread_and_sparse_ones_left_out():
    row = [Region(100 * x, 0, 100, 100, 50) for x in range(10)] + [Region(9000, 0, 100, 100, 3)]
    assert [one.x0 for one in spread(row, 3)] == [0, 400, 900]
    assert spread(row, 20) == row
    assert row[-1] in spread(row, 11)


def test_as_many_regions_as_are_wanted_when_most_are_sparse():
    row = [Region(100 * x, 0, 100, 100, 1) for x in range(4)] + [Region(900, 0, 100, 100, 90)]
    assert len(spread(row, 4)) == 4


def test_density_is_that_of_separated_stains(rng):
    amounts = rng.uniform(0, 1, (40, 60, 2))
    pixels = (255 * 10 ** -(amounts @ STAINS[:2])).round().astype(np.uint8)
    np.testing.assert_allclose(haematoxylin(pixels, 1), amounts[..., 0], atol=0.15)
    reduced = haematoxylin(pixels[:, :59], 2)
    assert reduced.shape == (20, 29)
    expected = haematoxylin(pixels, 1)[4:6, 10:12].mean()
    assert reduced[2, 5] == pytest.approx(expected, abs=0.02)


def test_density_follows_that_of_scikit_image(rng):
    pixels = rng.integers(40, 250, (30, 30, 3), dtype=np.uint8)
    theirs = separate_stains(pixels, hed_from_rgb)[..., 0]
    ours = haematoxylin(pixels, 1)
    between = (ours > 0.02) & (ours < DARKEST - 0.1) & (theirs > 0)
    assert between.sum() > 100
    assert np.corrcoef(ours[between], theirs[between])[0, 1] > 0.99
