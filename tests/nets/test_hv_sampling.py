"""Balance of organs and classes, against its formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from triptych.core.nuclei import UNKNOWN, Tiles
from triptych.nets import hv_sampling
from triptych.nets.hv_sampling import Balance, class_weights, type_pixels


class Toy:
    """Tiles of 8 px whose types are given by rows."""

    classes, mpp, tile_px = ("round", "long"), 0.25, 8

    def __init__(self, types, organs, ignore=None):
        self.types = np.asarray(types, np.uint8)
        self.ignore = np.zeros(self.types.shape, bool) if ignore is None else ignore
        self.about = pd.DataFrame({"organ": organs})

    def __len__(self):
        return len(self.types)

    def take(self, rows):
        types = self.types[rows]
        return Tiles(
            np.zeros((*types.shape, 3), np.uint8), (types > 0).astype(np.int32), types, self.ignore[rows]
        )


def tile(*counts, unknown=0):
    """A tile with so many pixels of each class."""
    flat = np.repeat([*range(1, len(counts) + 1), UNKNOWN], [*counts, unknown])
    return np.pad(flat, (0, 64 - len(flat))).reshape(8, 8)


def test_pixels_are_counted_by_type_where_they_are_known():
    ignore = np.zeros((2, 8, 8), bool)
    ignore[1, 0, :4] = True
    found = type_pixels(Toy([tile(5, 3, unknown=6), tile(10, 0)], ["a", "a"], ignore), np.arange(2))
    np.testing.assert_array_equal(found, [[50, 5, 3], [54, 6, 0]])


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_probabilities_are_those_of_the_formula(strength):
    types = [tile(9, 1), tile(10, 0), tile(0, 4), tile(0, 0, unknown=7)]
    balance = Balance.of(Toy(types, ["lung", "lung", "lung", "skin"]), strength)
    share = np.array([19, 5]) / 24
    v = [
        (9 * share[0] ** -strength + share[1] ** -strength) / 10,
        share[0] ** -strength,
        share[1] ** -strength,
    ]
    p = np.array([*(np.array(v) / np.mean(v)) * 0.75**-strength, 0.25**-strength])
    np.testing.assert_allclose(balance.tiles, p / p.sum())
    assert balance.tiles.sum() == pytest.approx(1)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_weights_of_classes_have_a_mean_of_one(strength):
    pixels = np.array([800.0, 150.0, 50.0, 0.0])
    weights = class_weights(pixels, strength)
    assert (weights * pixels).sum() / pixels.sum() == pytest.approx(1)
    assert weights[2] / weights[0] == pytest.approx(16**strength)
    assert weights[3] == 0


def test_without_known_types_and_with_one_organ_all_tiles_are_alike():
    balance = Balance.of(Toy([tile(unknown=5), tile(unknown=9)], ["a", "a"]), 1.0)
    np.testing.assert_allclose(balance.tiles, [0.5, 0.5])
    np.testing.assert_array_equal(balance.classes, [1, 0, 0])


def test_of_many_tiles_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(hv_sampling, "LOOKED", 3)
    types = [tile(8, 0), tile(0, 50), tile(8, 0), tile(0, 50), tile(0, 8)]
    balance = Balance.of(Toy(types, ["a"] * 5), 1.0)
    assert balance.tiles[1] == balance.tiles[3]
    assert balance.tiles[4] > balance.tiles[1] > balance.tiles[0]


def test_batches_follow_the_probabilities_and_the_seed():
    balance = Balance(np.array([0.5, 0.0, 0.3, 0.2]), np.ones(1))
    stream = balance.batches(1000, np.random.default_rng(0))
    rows = np.concatenate([next(stream) for _ in range(20)])
    np.testing.assert_allclose(np.bincount(rows, minlength=4) / len(rows), balance.tiles, atol=0.01)
    again = balance.batches(1000, np.random.default_rng(0))
    np.testing.assert_array_equal(next(again), rows[:1000])
