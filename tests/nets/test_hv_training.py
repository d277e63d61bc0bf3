"""Training on tiles of discs: it learns, it repeats itself, and it says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from triptych.core.errors import DataError, NumericsError
from triptych.core.nuclei import UNKNOWN, Tiles
from triptych.core.progress import listening
from triptych.maths.hv import hv_targets
from triptych.nets.hv_sampling import Balance
from triptych.nets.hv_training import HvTraining, batches, check_tiles, targets_of, trained
from triptych.nets.unet_hv import started

SETTINGS = HvTraining(steps=40, batch=4, crop_px=48, learning_rate=5e-3, warm_up=5, stain_jitter=0.3)


class Discs:
    """Dark discs, of their class's colour; some classes are unknown, and some places are ignored."""

    classes, mpp, tile_px = ("blue", "red"), 0.25, 48

    def __init__(self, count=12, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:48, :48]
        self.image = np.full((count, 48, 48, 3), 230, np.uint8)
        self.instances = np.zeros((count, 48, 48), np.int32)
        self.types = np.zeros((count, 48, 48), np.uint8)
        for at in range(count):
            for number in range(1, 6):
                cy, cx = rng.uniform(5, 43, 2)
                disc = (y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(5, 7) ** 2
                kind = int(rng.integers(2))
                self.instances[at][disc] = number
                self.types[at][disc] = UNKNOWN if number == 5 else 1 + kind
                self.image[at][disc] = ((80, 60, 200), (200, 60, 80))[kind]
        self.image = (self.image + rng.integers(-15, 15, self.image.shape)).clip(0, 255).astype(np.uint8)
        self.ignore = np.zeros(self.types.shape, bool)
        self.ignore[0, :10] = True
        self.about = pd.DataFrame({"organ": np.where(np.arange(count) < 9, "a", "b")})

    def __len__(self):
        return len(self.image)

    def take(self, rows):
        return Tiles(self.image[rows], self.instances[rows], self.types[rows], self.ignore[rows])


def net(seed=0):
    return started(2, torch.Generator().manual_seed(seed), width=16, depth=2)


def learned(seed=0, settings=SETTINGS, tiles=None):
    network = net(seed)
    history = trained(network, tiles or Discs(), settings, np.random.default_rng(seed))
    return network, history


def test_the_loss_falls_and_nuclei_are_found():
    network, history = learned(settings=replace(SETTINGS, steps=120))
    assert len(history) == 120
    assert np.mean(history[-10:]) < 0.5 * np.mean(history[:10])
    tiles = Discs(4, seed=9)
    with torch.no_grad():
        maps = network(torch.from_numpy(tiles.image).permute(0, 3, 1, 2).float() / 255).numpy()
    found, true = maps[:, 0] > 0, tiles.instances > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.85
    known = true & (tiles.types != UNKNOWN)
    assert (maps[:, 4:].argmax(1) + 1 == tiles.types)[known].mean() > 0.8
    targets = np.stack([hv_targets(labels) for labels in tiles.instances])
    assert np.corrcoef(maps[:, 1:3].ravel(), targets.ravel())[0, 1] > 0.5


def test_the_same_seed_gives_the_same_bits_whatever_the_threads():
    threads = torch.get_num_threads()
    settings = replace(SETTINGS, steps=5)
    first, history = learned(settings=settings)
    torch.set_num_threads(2)
    try:
        second, again = learned(settings=settings)
    finally:
        torch.set_num_threads(threads)
    assert history == again
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert learned(seed=1, settings=settings)[1] != history


def test_frozen_weights_stay_and_the_network_is_left_ready_to_predict():
    network = net()
    network.stem.requires_grad_(requires_grad=False)
    before = network.stem.weight.clone()
    trained(network, Discs(), replace(SETTINGS, steps=2), np.random.default_rng(0))
    assert torch.equal(network.stem.weight, before)
    assert not network.training


def test_whoever_listens_hears_the_steps():
    heard = []
    with listening(lambda *told: heard.append(told)):
        learned(settings=replace(SETTINGS, steps=2))
    assert heard[-1] == ("training of nuclei", 2, 2)


def test_the_rate_rises_and_falls():
    settings = HvTraining(steps=100, learning_rate=1.0, warm_up=10)
    rates = [settings.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert int(np.argmax(rates)) == 9
    assert np.all(np.diff(rates[9:]) < 0)
    assert rates[-1] < 1e-3


def test_targets_say_what_the_tiles_say():
    tiles = Discs().take(np.array([0, 3]))
    targets = targets_of(tiles)
    for at in range(2):
        np.testing.assert_array_equal(targets.hv[at].numpy(), hv_targets(tiles.instances[at]))
    np.testing.assert_array_equal(targets.nucleus.numpy(), tiles.instances > 0)
    np.testing.assert_array_equal(targets.known.numpy(), ~tiles.ignore)
    np.testing.assert_array_equal(targets.typed.numpy(), ~tiles.ignore & (tiles.types != UNKNOWN))


def test_batches_have_pictures_in_0_to_1():
    tiles = Discs()
    stream = batches(tiles, Balance.of(tiles, 0.5), SETTINGS, np.random.default_rng(0))
    pixels, targets = next(stream)
    assert pixels.shape == (4, 3, 48, 48)
    assert targets.hv.shape == (4, 2, 48, 48)
    assert 0 <= pixels.min() < 0.5 < pixels.max() <= 1


def test_tiles_that_teach_nothing_leave_a_finite_loss():
    tiles = Discs()
    tiles.ignore[:] = True
    _, history = learned(settings=replace(SETTINGS, steps=3), tiles=tiles)
    assert history == [0.0, 0.0, 0.0]


def test_no_tiles_and_small_tiles_are_refused():
    tiles = Discs(2)
    with pytest.raises(DataError, match="crop_px is 64.*Set crop_px to 48 or less"):
        check_tiles(tiles, 64)
    tiles.image = tiles.image[:0]
    with pytest.raises(DataError, match="There are no labelled tiles"):
        check_tiles(tiles, 32)


def test_a_loss_that_is_not_finite_is_told():
    network = net()
    with torch.no_grad():
        network.head.bias.fill_(torch.nan)
    with pytest.raises(NumericsError, match="nan in step 1 of 40.*Lower the learning rate"):
        trained(network, Discs(), SETTINGS, np.random.default_rng(0))
