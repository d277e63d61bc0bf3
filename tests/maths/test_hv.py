"""Horizontal and vertical maps against a naive loop, and back to the nuclei they were made from."""

import numpy as np
import pytest
from scipy import ndimage as ndi

from triptych.maths.hv import hv_targets, instances_of, probabilities_of
from triptych.maths.watershed import divided, filled, kept, pieces_of


def discs(centres, radii, shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    instances = np.zeros(shape, np.int32)
    for number, ((cy, cx), radius) in enumerate(zip(centres, radii, strict=True), 1):
        instances[((y - cy) ** 2 + (x - cx) ** 2 <= radius**2) & (instances == 0)] = number
    return instances


@pytest.fixture(scope="module")
def crowd():
    """Discs that touch, on a jittered grid, with numbers that have gaps."""
    rng = np.random.default_rng(0)
    centres = np.stack(
        np.meshgrid(np.arange(12, 200, 15), np.arange(12, 260, 15), indexing="ij"), -1
    ).reshape(-1, 2)
    centres = centres + rng.uniform(-2, 2, centres.shape)
    return discs(centres, rng.uniform(6.5, 9, len(centres)), (200, 260)) * 3


def naive_targets(instances):
    found = np.zeros((2, *instances.shape))
    for number in np.unique(instances[instances > 0]):
        y, x = np.nonzero(instances == number)
        for plane, place in ((0, x), (1, y)):
            offset = place - place.mean()
            low, high = -offset.min(), offset.max()
            for i, j, one in zip(y, x, offset, strict=True):
                extent = low if one < 0 else high
                found[plane, i, j] = one / extent if extent > 0 else 0
    return found


def test_targets_equal_a_naive_loop(crowd):
    rng = np.random.default_rng(1)
    odd = np.where(rng.random((30, 40)) < 0.3, rng.integers(1, 60_000, (30, 40)), 0).astype(np.int32)
    for instances in (crowd[:60, :70], odd, np.eye(9, dtype=np.int32) * 7):
        found = hv_targets(instances)
        np.testing.assert_allclose(found, naive_targets(instances), atol=1e-6)
        assert found.dtype == np.float32
        assert not found[:, instances == 0].any()
    assert not hv_targets(np.zeros((5, 4), np.int32)).any()


def test_targets_of_what_is_turned_are_turned(crowd):
    h, v = hv_targets(crowd)
    np.testing.assert_allclose(hv_targets(crowd[:, ::-1]), np.stack([-h, v])[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(hv_targets(crowd.T), np.stack([v.T, h.T]), atol=1e-6)


def overlap(truth, found):
    """IoU of each true nucleus with the found one that it shares most pixels with."""
    ious = []
    for number in np.unique(truth[truth > 0]):
        mask = truth == number
        best = np.bincount(found[mask]).argmax()
        ious.append((mask & (found == best)).sum() / (mask | (found == best)).sum() if best else 0)
    return np.array(ious)


def test_nuclei_that_touch_come_back_from_their_maps(crowd):
    found = instances_of((crowd > 0).astype(np.float32), hv_targets(crowd))
    assert found.max() == len(np.unique(crowd)) - 1
    ious = overlap(crowd, found)
    assert ious.min() > 0.75  # crescents beneath other discs
    assert ious.mean() > 0.93
    assert ndi.label(crowd > 0)[1] < found.max() / 2  # they do touch


def test_a_nucleus_does_not_depend_on_what_else_is_in_the_window(crowd):
    probability, maps = (crowd > 0).astype(np.float32), hv_targets(crowd)
    rng = np.random.default_rng(2)
    maps += rng.normal(0, 0.1, maps.shape).astype(np.float32)
    whole = instances_of(probability, maps)
    for y, x in ((0, 0), (37, 51), (60, 100)):
        part = instances_of(probability[y : y + 130, x : x + 150], maps[:, y : y + 130, x : x + 150])
        inner = np.s_[45:-45, 45:-45]
        pairs = np.unique(
            np.stack([whole[y : y + 130, x : x + 150][inner], part[inner]]).reshape(2, -1), axis=1
        )
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] > 4
    # and a bright stranger far away changes nothing: no range is the window's
    maps[:, 150:, 200:] *= 50
    assert np.array_equal(instances_of(probability, maps)[:100, :150] > 0, whole[:100, :150] > 0)
    pairs = np.unique(
        np.stack([instances_of(probability, maps), whole])[:, :100, :150].reshape(2, -1), axis=1
    )
    assert len(np.unique(pairs[0])) == pairs.shape[1]


def test_small_pieces_are_dropped_and_small_holes_filled():
    probability = np.zeros((60, 60), np.float32)
    probability[5:25, 5:25] = 0.9
    probability[12:15, 12:15] = 0.1
    probability[40:45, 40:45] = 0.9
    found = instances_of(probability, np.zeros((2, 60, 60), np.float32))
    assert np.bincount(found.ravel()).tolist() == [3200, 400]
    found = instances_of(probability, np.zeros((2, 60, 60), np.float32), least_px=25)
    assert np.bincount(found.ravel())[1:].tolist() == [400, 25]
    assert not instances_of(probability, np.zeros((2, 60, 60), np.float32), threshold=0.95).any()


def test_a_piece_without_a_summit_is_one_nucleus():
    pieces = pieces_of(np.ones((8, 9), bool), 1)
    found = divided(pieces, np.zeros((8, 9), np.float32), apart_px=2, lowest=0.0)
    assert (found == 1).all()


def test_areas_holes_and_numbers():
    instances = np.array([[4, 4, 0], [0, 2, 0], [7, 7, 7]], np.int32)
    assert kept(instances, 2).tolist() == [[1, 1, 0], [0, 0, 0], [2, 2, 2]]
    assert kept(instances, 0).tolist() == [[2, 2, 0], [0, 1, 0], [3, 3, 3]]
    ring = np.ones((7, 7), bool)
    ring[2:4, 2:4] = False
    assert filled(ring, 5).all()
    assert np.array_equal(filled(ring, 4), ring)


def test_probabilities_equal_a_naive_loop():
    rng = np.random.default_rng(3)
    instances = discs([(8, 8), (8, 25), (30, 20)], [5, 6, 7], (40, 35))
    logits = rng.normal(0, 4, (4, 40, 35)).astype(np.float32)
    found = probabilities_of(instances, logits)
    softmax = np.exp(logits.astype(float))
    softmax /= softmax.sum(axis=0)
    for number in (1, 2, 3):
        np.testing.assert_allclose(found[number - 1], softmax[:, instances == number].mean(axis=1), atol=1e-6)
    assert probabilities_of(instances, np.zeros((0, 40, 35), np.float32)).shape == (3, 0)
    assert probabilities_of(np.zeros_like(instances), logits).shape == (0, 4)
