"""Sizes, sparse planes and their convolution: against loops, numpy, scipy and dense torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from torch import nn
from torch.nn import functional
from torch.nn.functional import conv2d

from triptych.nets.vae_planes import convolve, rasterise, turn
from triptych.nets.vae_shape import sizes, smallest, trimmed, whole


def molecules(rng, side, *, m=40, batch=3, genes=4):
    """Crop, gene, y and x, some of them twice and some at the edge."""
    spots = [rng.integers(0, high, m) for high in (batch, genes, side, side)]
    spots = [np.concatenate([part, part[:5]]) for part in spots]
    spots[2][:4], spots[3][4:8] = (0, side - 1, 0, side - 1), (0, 0, side - 1, side - 1)
    return tuple(torch.from_numpy(part) for part in spots)


def painted(spots, shape):
    batch, genes, side = shape
    planes = np.zeros((batch, genes, side, side), bool)
    planes[tuple(part.numpy() for part in spots)] = True
    return planes


@pytest.mark.parametrize("side", range(63, 321))
def test_five_transposed_convolutions_mirror_five_convolutions(side):
    found = sizes(side, 5)
    x = torch.empty(1, 1, side, side, device="meta")
    down, up = (kind(1, 1, 3, 2, device="meta") for kind in (nn.Conv2d, nn.ConvTranspose2d))
    for size in found[1:]:
        x = down(whole(x))
        assert x.shape[-1] == size
    for size in found[-2::-1]:
        x = trimmed(up(x), size)
        assert x.shape[-1] == size


@pytest.mark.parametrize("side", [63, 100, 150, 300])
def test_every_pixel_is_seen_and_given_back(side):
    """Of ones, through weights of ones, no output and no pixel is left without a share."""
    seen = torch.ones(1, 1, side, side, requires_grad=True)
    kernel, x = torch.ones(1, 1, 3, 3), seen
    for _ in range(5):
        x = functional.conv2d(whole(x), kernel, stride=2)
    for size in sizes(side, 5)[-2::-1]:
        x = trimmed(functional.conv_transpose2d(x, kernel, stride=2), size)
    assert (x > 0).all()
    x.sum().backward()
    assert (seen.grad > 0).all()


@pytest.mark.parametrize("blocks", [1, 2, 3, 5, 7])
def test_the_smallest_side_leaves_one_pixel_and_a_smaller_one_is_refused(blocks):
    least = smallest(blocks)
    assert sizes(least, blocks)[-1] == 1
    with pytest.raises(
        ValueError, match=f"{least - 1} px is too small for {blocks} blocks; {least} px will do"
    ):
        sizes(least - 1, blocks)


@pytest.mark.parametrize("spot_px", [1, 3, 5, 7])
def test_squares_are_those_of_binary_dilation(rng, spot_px):
    spots, shape = molecules(rng, 23), (3, 4, 23)
    expected = binary_dilation(painted(spots, shape), np.ones((1, 1, spot_px, spot_px)))
    planes = rasterise(spots, shape, spot_px)
    assert np.array_equal(planes.dense().numpy(), expected)
    assert len(planes.gene) == expected.sum()  # none twice


def test_pixels_are_sorted_by_gene_then_crop(rng):
    planes = rasterise(molecules(rng, 23), (3, 4, 23), 3)
    key = ((planes.gene * 3 + planes.crop) * 23 + planes.y) * 23 + planes.x
    assert (key.diff() > 0).all()


@pytest.mark.parametrize("side", [12, 13])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_molecules_are_those_of_turned_planes(rng, side, quarters):
    crop, gene, y, x = molecules(rng, side)
    turned = turn(y, x, torch.full_like(y, quarters), side)
    expected = np.rot90(painted((crop, gene, y, x), (3, 4, side)), quarters, (2, 3))
    assert np.array_equal(painted((crop, gene, *turned), (3, 4, side)), expected)


def test_each_molecule_is_turned_by_its_own_quarters(rng):
    _, _, y, x = molecules(rng, 12)
    quarters = torch.from_numpy(rng.integers(0, 4, len(y)))
    whole = turn(y, x, quarters, 12)
    for k in range(4):
        mine = quarters == k
        part = turn(y[mine], x[mine], quarters[mine], 12)
        assert all(torch.equal(a[mine], b) for a, b in zip(whole, part, strict=True))


@pytest.mark.parametrize("side", [3, 4, 22, 23])
def test_the_sparse_convolution_is_the_dense_one_with_its_gradient(rng, side):
    planes = rasterise(molecules(rng, side), (3, 4, side), 3)
    weight = torch.randn(4 * 9, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = convolve(planes, weight)
    expected = conv2d(whole(planes.dense()), weight.view(4, 3, 3, 6).permute(3, 0, 1, 2), stride=2)
    assert torch.allclose(found, expected, atol=1e-5)
    one, other = (torch.autograd.grad((out * out.cos()).sum(), weight)[0] for out in (found, expected))
    assert torch.allclose(one, other, atol=1e-4)


def test_planes_without_molecules_convolve_to_zeros():
    nothing = torch.empty(0, dtype=torch.int64)
    planes = rasterise((nothing,) * 4, (2, 3, 9), 5)
    weight = torch.ones(27, 5, requires_grad=True)
    found = convolve(planes, weight)
    assert found.shape == (2, 5, 4, 4)
    assert not found.any()
    found.sum().backward()
    assert not weight.grad.any()
