"""Rings against naive loops and shapely, and there and back between outlines and pictures of labels."""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes, gaussian_filter
from skimage.measure import label, points_in_poly

from triptych.core.nuclei import Outlines
from triptych.maths.polygons import Rings, areas_px, centroids_px, crossing, rasterised, traced, wkb


def outlines(rings, row=None):
    first = np.cumsum([0, *map(len, rings)])
    px = np.concatenate(rings) if rings else np.empty((0, 2))
    return Outlines(px.astype(np.float32), first, np.arange(len(rings)) if row is None else row)


def stars(rng, number, *, width=100, vertices=(3, 12), radius=(2, 14), wild=0.0):
    """Rings around centres, some of whose vertices are thrown about, so that they cross themselves."""
    rings = []
    for _ in range(number):
        k = int(rng.integers(*vertices))
        angle = np.sort(rng.uniform(0, 2 * np.pi, k))
        ring = rng.uniform(*radius, (k, 1)) * np.column_stack([np.cos(angle), np.sin(angle)])
        ring = ring[rng.permutation(k)] if rng.random() < wild else ring
        rings.append(ring + rng.uniform(0, width, 2))
    return rings


def naive(rings, x0, y0, width, height, scale=1.0):
    out = np.zeros((height, width), int)
    y, x = np.mgrid[y0 : y0 + height, x0 : x0 + width]
    centres = np.column_stack([x.ravel(), y.ravel()]) + 0.5
    for number, ring in enumerate(rings, 1):
        inside = points_in_poly(centres, ring.astype(np.float32).astype(float) * scale)
        out[inside.reshape(out.shape) & (out == 0)] = number
    return out


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    corner=st.tuples(st.integers(-30, 60), st.integers(-30, 60)),
    scale=st.sampled_from([0.5, 1.0, 1.7]),
)
def test_rasterised_equals_a_loop_over_pixels(seed, corner, scale):
    rings = stars(np.random.default_rng(seed), 12, wild=0.5)
    made = rasterised(outlines(rings), *corner, 50, 40, scale=scale)
    assert (made.dtype, made.shape) == (np.int32, (40, 50))
    np.testing.assert_array_equal(made, naive(rings, *corner, 50, 40, scale))


def test_the_first_ring_keeps_its_pixels_and_shifts_move_each(rng):
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
    made = rasterised(outlines([square, square + 2]), 0, 0, 7, 7)
    assert (made[:4, :4] == 1).all()
    assert (made == 2).sum() == 12
    rings = stars(rng, 20)
    shift = rng.normal(0, 5, (20, 2))
    moved = [ring.astype(np.float32) + by for ring, by in zip(rings, shift, strict=True)]
    both = rasterised(outlines(rings), 0, 0, 100, 100, shift_px=shift)
    np.testing.assert_array_equal(both, rasterised(outlines(moved), 0, 0, 100, 100))


def test_rings_that_share_an_edge_share_no_pixel_and_leave_none():
    left, right = [[0, 0], [5, 0], [3, 9], [0, 9]], [[5, 0], [9, 0], [9, 9], [3, 9]]
    made = rasterised(outlines([np.array(left), np.array(right)]), 0, 0, 9, 9)
    assert (made > 0).all()
    turned = rasterised(outlines([np.array(right), np.array(left)]), 0, 0, 9, 9)
    np.testing.assert_array_equal(turned, 3 - made)


@pytest.mark.parametrize("wild", [0.0, 1.0])
def test_points_are_held_as_a_loop_says(rng, wild):
    rings = [*stars(rng, 60, wild=wild), np.array([[-50, -50], [150, -40], [160, 140]])]  # one round all
    xy = rng.uniform(-80, 200, (2000, 2))
    inside = np.array([points_in_poly(xy, ring.astype(np.float32).astype(float)) for ring in rings])
    expected = np.where(inside.any(axis=0), inside.argmax(axis=0), -1)
    np.testing.assert_array_equal(Rings.of(outlines(rings)).holding(xy), expected)


def test_points_are_held_as_pixels_are_filled(rng):
    rings = outlines(stars(rng, 60, wild=0.5))
    y, x = np.mgrid[:100, :100]
    centres = np.column_stack([x.ravel(), y.ravel()]) + 0.5
    made = rasterised(rings, 0, 0, 100, 100).ravel()
    np.testing.assert_array_equal(Rings.of(rings).holding(centres), made - 1)


def test_windows_of_a_slide_touch_few_rings(rng):
    number, side = 100_000, 20_000
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = 10 * np.column_stack([np.cos(angle), np.sin(angle)])
    centre = rng.uniform(20, side - 20, (number, 2))
    px = (centre[:, None] + circle).reshape(-1, 2).astype(np.float32)
    slide = Outlines(px, np.arange(number + 1) * 20, np.arange(number))
    rings = Rings.of(slide)
    box = np.hstack([px.reshape(number, 20, 2).min(axis=1), px.reshape(number, 20, 2).max(axis=1)])
    for x, y in rng.integers(0, side - 256, (5, 2)):
        near = (box[:, 0] <= x + 256) & (box[:, 2] >= x) & (box[:, 1] <= y + 256) & (box[:, 3] >= y)
        np.testing.assert_array_equal(rings.touching(x, y, x + 256, y + 256), np.flatnonzero(near))
    begin = time.process_time()
    for x, y in rng.integers(0, side - 256, (200, 2)):
        rings.rasterised(x, y, 256, 256)
    assert time.process_time() - begin < 5  # it takes 0.5 s; to look at all rings each time takes 15


def test_the_index_stays_small_however_uneven_rings_are(rng):
    dots = [np.array([[0, 0], [0.1, 0], [0, 0.1]]) + at for at in rng.uniform(0, 1e5, (500, 2))]
    rings = Rings.of(outlines([*dots, np.array([[0, 0], [1e5, 0], [1e5, 1e5]])]))
    assert len(rings.ring) + len(rings.start) < 40 * 501 + 3000
    assert 500 in rings.touching(10, 10, 20, 20)


def test_crossing_rings_are_those_that_shapely_calls_invalid(rng):
    rings = stars(rng, 400, wild=0.5)
    valid = [shapely.is_valid(shapely.Polygon(ring.astype(np.float32))) for ring in rings]
    np.testing.assert_array_equal(crossing(outlines(rings)), ~np.array(valid))
    assert 50 < sum(valid) < 350


def test_touching_oneself_is_not_crossing():
    keyhole = np.array([[0, 0], [4, 0], [4, 4], [2, 4], [2, 2], [2, 2], [2, 4], [0, 4]])
    assert not crossing(outlines([keyhole])).any()


def test_areas_centroids_and_polygons_are_shapelys(rng):
    far = [ring + 50_000 for ring in stars(rng, 50, vertices=(5, 30))]
    made = outlines(far)
    shapes = shapely.from_wkb(wkb(made))
    np.testing.assert_allclose(areas_px(made), shapely.area(shapes), rtol=1e-6)
    centre = shapely.get_coordinates(shapely.centroid(shapes))
    np.testing.assert_allclose(centroids_px(made), centre, atol=1e-4)
    assert all(shape.exterior.coords[0] == shape.exterior.coords[-1] for shape in shapes)


def test_a_ring_without_area_lies_at_the_mean_of_its_vertices():
    flat = outlines([np.array([[1, 1], [2, 2], [6, 6]])])
    np.testing.assert_allclose(centroids_px(flat), [[3, 3]])
    np.testing.assert_array_equal(areas_px(flat), [0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sigma=st.sampled_from([0.5, 1.0, 3.0]))
def test_traced_and_rasterised_give_the_nuclei_back(seed, sigma):
    """Ragged nuclei that touch each other, and themselves at corners."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(40, 50)), sigma)
    parts = label(field > 0, connectivity=1) * 2 + (field > field.std())
    nuclei = label(parts * (field > 0), connectivity=1, background=0)
    whole = np.zeros_like(nuclei)
    for number in range(1, nuclei.max() + 1):  # four-connected holes, which an outer ring cannot have
        filled = binary_fill_holes(nuclei == number, structure=np.ones((3, 3)))
        whole[filled & (whole == 0)] = number
    nuclei = label(whole, connectivity=1).astype(np.int32)
    rings = traced(nuclei)
    back = rasterised(rings, 0, 0, 50, 40)
    held = np.array([((nuclei == n) == (back == n)).all() for n in range(1, nuclei.max() + 1)])
    simple = np.array(
        [
            np.array_equal(binary_fill_holes(nuclei == n, structure=np.ones((3, 3))), nuclei == n)
            for n in range(1, nuclei.max() + 1)
        ]
    )
    assert held[simple].all()
    np.testing.assert_array_equal(rings.row, np.arange(nuclei.max()))


def test_traced_keeps_corners_only_and_the_largest_part():
    picture = np.zeros((6, 9), np.int32)
    picture[1:4, 1:5] = 7
    picture[5, 8] = 7
    picture[2, 7] = 3
    rings = traced(picture)
    np.testing.assert_array_equal(rings.row, [2, 6])
    np.testing.assert_array_equal(rings.first, [0, 4, 8])
    np.testing.assert_array_equal(rings.px[4:], [[1, 1], [5, 1], [5, 4], [1, 4]])


def test_nothing_gives_nothing():
    none = traced(np.zeros((4, 5), np.int32))
    assert len(none.row) == 0
    np.testing.assert_array_equal(rasterised(none, 0, 0, 5, 4), np.zeros((4, 5)))
    for found in (areas_px(none), centroids_px(none), crossing(none), wkb(none)):
        assert len(found) == 0
    assert Rings.of(none).holding(np.zeros((2, 2))).tolist() == [-1, -1]
