"""Tiles turned, zoomed and stained: their labels follow, and their maps fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triptych.core.nuclei import Tiles
from triptych.maths.hv import hv_targets
from triptych.nets.hv_augmentation import (
    STAINS,
    VIEWS,
    hv_turned,
    hv_turned_back,
    placed,
    stained,
    turned,
    turned_back,
    zoomed,
)


def discs(side, count, seed=0):
    """A picture of labels with discs, later ones over earlier ones."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for number in range(1, count + 1):
        cy, cx, r = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(3, 8)
        labels[((y - cy) ** 2 + ((x - cx) * rng.uniform(0.7, 1.4)) ** 2) < r**2] = number
    return labels


def labelled(count=4, side=40, seed=0):
    labels = np.stack([discs(side, 9, seed + at) for at in range(count)])
    types = np.where(labels > 0, labels % 3 + 1, 0).astype(np.uint8)
    # the picture tells the labels, so that they can be compared after any change
    image = np.stack([labels * 20, types * 60, (labels % 2) * 200], -1).astype(np.uint8)
    return Tiles(image, labels, types, labels % 4 == 1)


@pytest.mark.parametrize("view", range(VIEWS))
def test_maps_of_turned_nuclei_are_turned_maps_of_nuclei(view):
    labels = discs(48, 12)
    np.testing.assert_allclose(
        hv_targets(np.ascontiguousarray(turned(labels, view))), hv_turned(hv_targets(labels), view), atol=1e-6
    )


@pytest.mark.parametrize("view", range(VIEWS))
def test_turning_back_undoes_turning(view):
    pixels = np.random.default_rng(0).normal(size=(2, 5, 7))
    np.testing.assert_array_equal(turned_back(turned(pixels, view), view), pixels)
    np.testing.assert_array_equal(hv_turned_back(hv_turned(pixels, view), view), pixels)


def test_the_eight_views_differ():
    pixels = np.arange(12).reshape(3, 4)
    assert (
        len({turned(pixels, view).tobytes() + bytes(turned(pixels, view).shape) for view in range(VIEWS)})
        == 8
    )


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_labels_stay_on_their_pixels(jitter):
    tiles, rng = labelled(), np.random.default_rng(1)
    for _ in range(5):
        found = placed(tiles, 24, jitter, rng)
        assert found.image.shape == (4, 24, 24, 3)
        np.testing.assert_array_equal(found.types > 0, found.instances > 0)
        np.testing.assert_array_equal(found.ignore, found.instances % 4 == 1)
        agree = np.abs(found.image[..., 0].astype(int) - found.instances * 20) < 30
        assert agree.mean() == 1 if jitter == 0 else agree.mean() > 0.8  # linear pictures, nearest labels


def test_sizes_of_nuclei_vary_as_much_as_told_and_the_middle_keeps_its_place():
    side, labels = 60, np.zeros((1, 60, 60), np.int32)
    labels[0, 20:40, 20:40] = 1
    tiles = Tiles(np.zeros((1, side, side, 3), np.uint8), labels, labels.astype(np.uint8), labels > 5)
    rng, areas = np.random.default_rng(2), []
    for _ in range(300):
        found = placed(tiles, 48, 0.25, rng).instances[0]
        inner = found[1:-1, 1:-1].sum() == found.sum()  # not cut
        areas += [found.sum() / 400] if inner else []
    assert min(areas) >= 0.6
    assert max(areas) <= 1.25**2 * 1.1
    assert max(areas) > 1.35 > 0.75 > min(areas)


def test_crops_come_from_everywhere():
    labels = np.arange(1, 101, dtype=np.int32).reshape(1, 10, 10)
    tiles = Tiles(np.zeros((1, 10, 10, 3), np.uint8), labels, labels.astype(np.uint8), labels < 0)
    rng = np.random.default_rng(3)
    seen = np.unique([placed(tiles, 3, 0.0, rng).instances for _ in range(400)])
    np.testing.assert_array_equal(seen, np.arange(1, 101))


def test_the_same_seed_gives_the_same_tiles():
    first, second = (placed(labelled(), 24, 0.3, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.instances, second.instances)


def test_zooming_keeps_a_ramp():
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype=np.uint8), (3, 20, 20))
    assert zoomed(ramp, 20) is ramp
    found = zoomed(ramp, 40)[0, 0, 2:-2].astype(float)
    np.testing.assert_allclose(np.diff(found), 5, atol=1.01)


def test_stains_change_as_told_and_by_picture():
    stains = STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)
    amounts = np.random.default_rng(0).uniform(0.2, 0.6, (2, 3, 16))
    pixels = torch.from_numpy(np.exp(-np.einsum("bsn,sc->bcn", amounts, stains))).view(2, 3, 4, 4)
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    found = stained(pixels, 0.6, rng).numpy().reshape(2, 3, 16)
    times, plus = 1 + 0.6 * 0.25 * same.uniform(-1, 1, (2, 3)), 0.6 * 0.05 * same.uniform(-1, 1, (2, 3))
    wanted = np.exp(-np.einsum("bsn,sc->bcn", amounts * times[..., None] + plus[..., None], stains))
    np.testing.assert_allclose(found, np.clip(wanted, 0, 1), rtol=1e-6)
    assert stained(pixels, 0.0, rng) is pixels


def test_stained_pictures_stay_pictures():
    pixels = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels[0] = 0
    pixels[1] = 1
    found = stained(pixels, 4.0, np.random.default_rng(6))
    assert found.isfinite().all()
    assert 0 <= found.min() <= found.max() <= 1
