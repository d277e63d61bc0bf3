"""The component: what it learns from tiles finds nuclei, is saved, and its parameters are checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.core.nuclei import Segmenter, Tiles
from triptych.segmenters.unet_hv import UnetHv

SMALL = UnetHv(
    width=16, depth=2, steps=120, batch=4, crop_px=40, learning_rate=5e-3, stain_jitter=0.3, least_um2=1.0
)


class Blobs:
    """Dark discs, two of which may touch, on a light ground; the class is the colour."""

    classes, mpp, tile_px = ("blue", "red"), 0.25, 40

    def __init__(self, count=10, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:40, :40]
        image, labels = np.full((count, 40, 40, 3), 225, np.uint8), np.zeros((count, 40, 40), np.int32)
        types = np.zeros((count, 40, 40), np.uint8)
        for at in range(count):
            for number, (cy, cx) in enumerate(
                np.argwhere(np.ones((3, 3))) * 13 + rng.uniform(5, 9, (9, 2)), 1
            ):
                disc = (y - cy) ** 2 + (x - cx) ** 2 < 25
                labels[at][disc], types[at][disc] = number, 1 + number % 2
                image[at][disc] = ((80, 60, 200), (200, 60, 80))[number % 2]
        self.image = (image + rng.integers(-15, 15, image.shape)).clip(0, 255).astype(np.uint8)
        self.instances, self.types = labels, types
        self.about = pd.DataFrame({"organ": ["a"] * count})

    def __len__(self):
        return len(self.image)

    def take(self, rows):
        return Tiles(
            self.image[rows], self.instances[rows], self.types[rows], np.zeros(self.types[rows].shape, bool)
        )


@pytest.fixture(scope="module")
def fitted():
    return SMALL.fit(Blobs(), np.random.default_rng(0))


def test_it_is_a_segmenter():
    assert isinstance(UnetHv(), Segmenter)


def test_nuclei_and_their_types_are_found_again(fitted):
    assert fitted.value is None
    model, tiles = fitted.model, Blobs(3, seed=5)
    assert (model.classes, model.mpp, model.least_px) == (("blue", "red"), 0.25, 16)
    hits = right = true = 0
    for image, labels, types in zip(tiles.image, tiles.instances, tiles.types, strict=True):
        found = model.segment(image)
        for number in range(1, labels.max() + 1):
            mask = labels == number
            if not mask.any():
                continue
            over = np.bincount(found.instances[mask])
            best = int(over.argmax())
            true += 1
            if best and over[best] / (mask | (found.instances == best)).sum() > 0.5:
                hits += 1
                right += found.probabilities[best - 1].argmax() + 1 == types[mask][0]
    assert hits / true > 0.8
    assert right / hits > 0.9


def test_it_is_restored_as_it_was(fitted, tmp_path):
    fitted.model.save(tmp_path)
    restored, picture = SMALL.restore(tmp_path), Blobs(1, seed=3).image[0]
    before, after = fitted.model.segment(picture), restored.segment(picture)
    np.testing.assert_array_equal(after.instances, before.instances)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)
    np.testing.assert_array_equal(restored.losses, fitted.model.losses)


def test_the_seed_decides_the_model():
    short = replace(SMALL, steps=3)
    first, second, other = (short.fit(Blobs(), np.random.default_rng(seed)).model for seed in (1, 1, 2))
    for name, value in first.network.items():
        np.testing.assert_array_equal(second.network[name], value)
    assert first.losses[0] != other.losses[0]


def test_small_tiles_are_refused():
    with pytest.raises(DataError, match="sides of 40 px, and crop_px is 256"):
        UnetHv().fit(Blobs(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "steps and batch must be at least 1"),
        ({"depth": 8}, "depth must be at most 7, got 8"),
        ({"crop_px": 100}, r"crop_px must be a multiple of 2\^depth = 16, got 100"),
        ({"learning_rate": 0.0}, "learning_rate must be between 0 and 1"),
        ({"stain_jitter": 5.0}, "stain_jitter must be from 0 to 4"),
        ({"scale_jitter": -0.1}, "scale_jitter from 0 to 1"),
        ({"balance": 1.5}, "balance must be from 0 to 1"),
        ({"threshold": 1.0}, "threshold between 0 and 1"),
        ({"least_um2": -1.0}, "least_um2 must be at least 0"),
        ({"views": 3}, r"views must be one of \(1, 2, 4, 8\), got 3"),
    ],
)
def test_parameters_are_checked(wrong, says):
    with pytest.raises(ValueError, match=says):
        UnetHv(**wrong)
