"""The U-Net: shapes, how far it looks, and weights that follow a seed."""

from __future__ import annotations

import pytest
import torch

from triptych.nets.unet_hv import built, halo_px, multiple_px, started


def net(classes=2, width=4, depth=3, seed=0):
    return started(classes, torch.Generator().manual_seed(seed), width=width, depth=depth).eval()


@pytest.mark.parametrize(("depth", "classes"), [(1, 0), (2, 3), (4, 1)])
def test_maps_have_the_size_of_the_picture_and_four_and_the_classes(depth, classes):
    side = multiple_px(depth)
    maps = net(classes, depth=depth)(torch.zeros(2, 3, 2 * side, 3 * side))
    assert maps.shape == (2, 4 + classes, 2 * side, 3 * side)
    assert maps.isfinite().all()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_pixel_depends_on_its_halo_and_on_nothing_beyond(depth):
    halo, network = halo_px(depth), net(width=8, depth=depth).double()
    side = 2 * halo + 2 * multiple_px(depth)
    x = torch.rand(1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    middle = halo + multiple_px(depth) // 2
    (slope,) = torch.autograd.grad(network(x)[0, :, middle, middle].sum(), x)
    touched = slope.abs().sum((0, 1)).nonzero()
    reach = int((touched - middle).abs().max())
    assert halo - 2 * multiple_px(depth) < reach <= halo


def test_the_seed_decides_the_weights_and_torch_keeps_its_own():
    before = torch.random.get_rng_state()
    first, second, other = net(seed=1), net(seed=1), net(seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.stem.weight, other.stem.weight)


def test_a_network_that_is_only_built_takes_no_memory():
    assert all(weight.is_meta for weight in built(3, width=1 << 20, depth=4).parameters())
