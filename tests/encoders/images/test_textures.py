from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, maximum_filter, uniform_filter
from skimage.color import rgb2hed
from skimage.feature import graycomatrix, graycoprops

from triptych.encoders.images import textures

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(1, 256, (5, 24, 31, 3), dtype=np.uint8)
PLANES = RNG.normal(0.4, 0.3, (5, 24, 31)).astype(np.float32)
LEVELS = 8


def test_stains_are_those_of_scikit_image():
    haematoxylin, eosin, density = textures.stains(PIXELS)
    expected = rgb2hed(PIXELS) * 6  # its logarithm has base 1e-6
    np.testing.assert_allclose(np.maximum(haematoxylin, 0), expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(np.maximum(eosin, 0), expected[..., 1], atol=1e-5)
    np.testing.assert_allclose(density, -np.log10(PIXELS / 255).mean(axis=-1), atol=1e-6)


def test_black_is_finite():
    for plane in textures.stains(np.zeros((1, 4, 4, 3), np.uint8)):
        assert np.isfinite(plane).all()


def test_colours_against_each_window():
    at = (0.1, 0.5, 0.9)
    for row, window in zip(textures.colours(PIXELS, at), PIXELS / 255, strict=True):
        flat = window.reshape(-1, 3)
        lowest = np.quantile(flat, at, axis=0, method="inverted_cdf").T.ravel()
        np.testing.assert_allclose(row, [*flat.mean(axis=0), *flat.std(axis=0), *lowest], atol=1e-6)


def test_moments_and_quantiles_against_each_window():
    at = (0.1, 0.5, 0.9)
    for i, window in enumerate(PLANES):
        np.testing.assert_allclose(textures.moments(PLANES)[i], [window.mean(), window.std()], rtol=1e-5)
        np.testing.assert_array_equal(
            textures.quantiles(PLANES, at)[i], np.quantile(window, at, method="lower")
        )


def test_correlation_against_each_window():
    other = (PLANES**2 - PLANES).astype(np.float32)
    found = textures.correlation(PLANES, other)[:, 0]
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(PLANES, other, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert textures.correlation(PLANES, np.full_like(PLANES, 0.3)).tolist() == [[0.0]] * 5


@pytest.mark.parametrize("side", [1, 2, 4])
def test_gradient_energy_against_loops(side):
    for row, window in zip(textures.gradient_energy(PLANES, side), PLANES, strict=True):
        rows, columns = window.shape[0] // side, window.shape[1] // side
        coarse = np.empty((rows, columns))
        for i in range(rows):
            for j in range(columns):
                coarse[i, j] = window[i * side : (i + 1) * side, j * side : (j + 1) * side].mean()
        expected = np.mean(np.diff(coarse, axis=0) ** 2) + np.mean(np.diff(coarse, axis=1) ** 2)
        np.testing.assert_allclose(row, expected, rtol=1e-4)


def test_local_variance_against_loops():
    side = 5
    for row, window in zip(textures.local_variance(PLANES, side), PLANES, strict=True):
        blocks = [
            window[i : i + side, j : j + side].var() for i in range(0, 20, side) for j in range(0, 30, side)
        ]
        np.testing.assert_allclose(row, [np.mean(blocks), np.std(blocks)], rtol=1e-3)


def test_quantised_levels():
    plane = np.array([[[-1.0, 0.0, 0.19, 0.2, 1.59, 9.0]]], np.float32)
    assert textures.quantised(plane, LEVELS, 1.6).tolist() == [[[0, 0, 0, 1, 7, 7]]]


@pytest.mark.parametrize("distance", [1, 4])
def test_cooccurrence_is_that_of_scikit_image(distance):
    codes = textures.quantised(PLANES, LEVELS, 1.6)
    found = textures.cooccurrence(codes, LEVELS, distance)
    for row, window in zip(found, codes, strict=True):
        matrix = graycomatrix(window, [distance], [0, np.pi / 2], LEVELS, symmetric=True, normed=True)
        expected = [graycoprops(matrix, what).mean() for what in ("contrast", "homogeneity", "energy")]
        np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_blobs_against_each_window():
    width, rise = 7, 0.05
    found = textures.blobs(PLANES, width, rise)
    for mask, window in zip(found, PLANES, strict=True):
        smooth = gaussian_filter(window, width / 4, truncate=2.0)
        risen = smooth - uniform_filter(smooth, 3 * width)
        np.testing.assert_array_equal(mask, (risen == maximum_filter(risen, width)) & (risen > rise))
    assert found.any()


def test_blobs_counts_what_is_drawn():
    y, x = np.mgrid[0:90, 0:90]
    plane = np.zeros((90, 90))
    for row in (20, 45, 70):
        for column in (20, 45, 70):
            plane += np.hypot(y - row, x - column) < 3.5
    assert textures.blobs(plane[None].astype(np.float32), 7, 0.15).sum() == 9
