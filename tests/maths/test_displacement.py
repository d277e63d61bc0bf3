"""Displacements against a naive loop, and quadratics whose top is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from triptych.maths.displacement import APART, TAIL, Surface, band_passed, matched


def naive(fixed, moving, reach):
    """NCC at every displacement of the periodic picture, by rolling."""
    inner = np.zeros_like(moving)
    part = np.s_[reach:-reach, reach:-reach]
    inner[part] = moving[part] - moving[part].mean()
    fixed = fixed - fixed.mean()
    norm = np.sqrt((inner**2).sum() * (fixed**2).mean() * inner[part].size)
    return np.array([
        [(inner * np.roll(fixed, (-dy, -dx), (0, 1))).sum() for dx in range(fixed.shape[1])]
        for dy in range(fixed.shape[0])
    ]) / norm  # fmt: skip


def test_surface_equals_a_naive_loop(rng):
    fixed, moving = rng.normal(size=(2, 36, 40)).astype(np.float32)  # sides that need no padding
    ncc, reach = naive(fixed.astype(float), moving.astype(float), 4), 4
    away = [np.minimum(np.arange(n), n - np.arange(n)) > APART * reach for n in ncc.shape]
    chance = ncc[away[0][:, None] | away[1]]
    tail = (np.percentile(chance, TAIL[0]) - chance.mean()) / TAIL[1]
    near = np.arange(-reach, reach + 1)
    expected = (ncc[np.ix_(near, near)] - chance.mean()) / max(chance.std(), tail)
    np.testing.assert_allclose(matched(fixed, moving, reach).z, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("by", [(0.0, 0.0), (3.4, -5.7), (-7.5, 0.25)])
def test_a_shift_is_found_between_pixels(rng, by):
    picture = gaussian_filter(rng.normal(size=(160, 170)), 2.5).astype(np.float32)
    x, y, inside = matched(shift(picture, by[::-1], order=3), picture, 10).peak()
    assert inside
    assert (x, y) == pytest.approx(by, abs=0.08)


def test_unrelated_pictures_stay_near_chance(rng):
    drawn = gaussian_filter(rng.normal(size=(10, 2, 150, 150)), (0, 0, 2, 2)).astype(np.float32)
    highest = [matched(*pair, 10).z.max() for pair in drawn]
    assert max(highest) < 5


def test_a_peak_at_the_end_of_the_range_is_told():
    z = np.zeros((5, 5))
    z[4, 2] = 9
    assert Surface(z).peak() == (0.0, 2.0, False)


def test_quadratics_have_their_top():
    y, x = np.mgrid[-3:4, -3:4].astype(float)
    z = 5 - 2 * (x - 0.3) ** 2 - (y + 1.2) ** 2 - 0.5 * (x - 0.3) * (y + 1.2)
    assert Surface(z).peak() == (pytest.approx(0.3), pytest.approx(-1.2), True)
    assert Surface(np.zeros((7, 7))).at(0.5, 0.5) == 0


def test_values_between_pixels_and_beyond():
    z = np.add.outer(10.0 * np.arange(5), np.arange(5.0))
    assert Surface(z).at(0, 0) == 22
    assert Surface(z).at(0.5, -1) == pytest.approx(12.5)
    assert np.isnan(Surface(z).at(2.1, 0))
    assert np.isnan(Surface(z).at(np.nan, 0))


def test_empty_and_small_pictures_have_no_surface(rng):
    blank = np.zeros((60, 60), np.float32)
    noise = rng.normal(size=(60, 60)).astype(np.float32)
    for fixed, moving in ((blank, noise), (noise, blank)):
        found = matched(fixed, moving, 5)
        assert np.isnan(found.z).all()
        assert np.isnan(found.peak()[0])
        assert not found.peak()[2]
    small = rng.normal(size=(18, 18)).astype(np.float32)
    assert np.isnan(matched(small, small, 6).z).all()  # nothing is left that could only be chance


def test_the_band_loses_slopes_and_noise(rng):
    slope = np.add.outer(np.arange(200.0), np.arange(200.0)).astype(np.float32)
    assert np.abs(band_passed(slope, 1, 10)[60:-60, 60:-60]).max() < 0.01
    noise = rng.normal(size=(200, 200)).astype(np.float32)
    assert band_passed(noise, 2, 10).std() < 0.2
