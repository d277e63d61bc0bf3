"""The network of windows; its equality with the published one is in oracles/test_aestetik.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from triptych.nets.ensemble import dropout_mask, median
from triptych.nets.grid import Decoder, Encoder, GridShape
from triptych.nets.grid_training import Windows, embed, population_statistics


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("window", range(1, 17, 2))
@pytest.mark.parametrize("ceil", [True, False])
def test_sizes_are_those_of_torch(window, ceil):
    shape = GridShape(2, window, ceil=ceil)
    maps = F.conv2d(torch.zeros(1, 2, window, window), torch.zeros(1, 2, shape.kernel, shape.kernel))
    assert maps.shape[-1] == shape.side
    assert F.max_pool2d(maps, shape.kernel, 3, ceil_mode=ceil).shape[-1] == shape.pooled


def seen(ceil: bool) -> np.ndarray:
    """Which cells of a window of 7 the code depends on."""
    encoder = Encoder(GridShape(2, 7, hidden=32, latent=3, members=1, ceil=ceil), generator())
    windows = torch.rand(40, 49, 2, generator=generator()).requires_grad_()
    stats = torch.zeros(32), torch.ones(32)
    encoder(encoder.patches(windows), stats).sum().backward()
    return (windows.grad.abs().sum((0, 2)) > 0).view(7, 7).numpy()


def test_ceil_sees_the_whole_window_and_floor_a_corner():
    assert seen(ceil=True).all()
    corner = seen(ceil=False)
    assert corner[:5, :5].all()
    assert not corner[5:].any()
    assert not corner[:, 5:].any()


@pytest.mark.parametrize("members", [1, 2, 3, 4, 5])
def test_median_is_torchs_with_its_gradient(members):
    x = torch.randn(members, 30, 2, generator=generator()).requires_grad_()
    weights = torch.randn(30, 2, generator=generator(1))
    (median(x) * weights).sum().backward()
    mine, x.grad = x.grad, None
    expected = torch.median(x, dim=0).values
    (expected * weights).sum().backward()
    torch.testing.assert_close(median(x), expected)
    torch.testing.assert_close(mine, x.grad)


def test_dropout_keeps_the_mean():
    mask = dropout_mask((100_000,), 0.3, generator())
    assert sorted(mask.unique().tolist()) == pytest.approx([0.0, 1 / 0.7])
    assert float(mask.mean()) == pytest.approx(1.0, abs=0.01)


def test_dropout_of_whole_channels_changes_codes_and_reconstructions():
    shape = GridShape(3, 7, hidden=8, latent=4)
    encoder, decoder = Encoder(shape, generator()), Decoder(shape, generator())
    patches = encoder.patches(torch.rand(20, 49, 3, generator=generator()))
    z = encoder(patches)
    assert not torch.equal(z, encoder(patches, dropout=0.5, generator=generator()))
    assert not torch.equal(decoder(z), decoder(z, dropout=0.5, generator=generator()))
    torch.testing.assert_close(encoder(patches, dropout=0.0, generator=generator()), z)


def test_statistics_from_moments_are_those_of_the_batch():
    shape = GridShape(5, 5, hidden=16)
    encoder = Encoder(shape, generator())
    patches = encoder.patches(torch.rand(50, 25, 5, generator=generator()))
    mean, variance = encoder.statistics(patches.mean(0), torch.cov(patches.T, correction=0))
    y = patches @ encoder.kernel
    torch.testing.assert_close(mean, y.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(variance, y.var(0, correction=0), atol=1e-6, rtol=1e-3)


def some_windows(n: int, window: int = 5) -> Windows:
    g = generator(n)
    return Windows(torch.rand(2 * n, 4, generator=g), torch.randint(2 * n, (n, window**2), generator=g))


def test_population_statistics_are_those_of_all_windows(monkeypatch):
    encoder = Encoder(GridShape(4, 5, hidden=8), generator())
    windows = some_windows(100)
    y = encoder.patches(windows.take(torch.arange(100))) @ encoder.kernel
    monkeypatch.setattr("triptych.nets.grid_training._part_size", lambda _: 16)
    mean, variance = population_statistics(encoder, windows)
    torch.testing.assert_close(mean, y.mean(0).detach())
    torch.testing.assert_close(variance, y.var(0, correction=0).detach())


def test_a_code_depends_on_its_window_only():
    """The same bits alone, among others, and in any order."""
    encoder = Encoder(GridShape(4, 5, hidden=32), generator())
    windows = some_windows(1500)
    stats = population_statistics(encoder, windows)
    z = embed(encoder, stats, windows)
    order = torch.randperm(1500, generator=generator())
    shuffled = embed(encoder, stats, Windows(windows.pile, windows.index[order]))
    np.testing.assert_array_equal(shuffled, z[order.numpy()])
    alone = embed(encoder, stats, Windows(windows.pile, windows.index[1400:1401]))
    np.testing.assert_array_equal(alone[0], z[1400])


def test_passes_with_dropout_average():
    encoder = Encoder(GridShape(4, 5, hidden=32), generator())
    windows = some_windows(30)
    stats = population_statistics(encoder, windows)
    run = lambda passes, seed: embed(  # noqa: E731
        encoder, stats, windows, passes=passes, dropout=0.3, generator=generator(seed)
    )
    np.testing.assert_array_equal(run(2, 0), run(2, 0))
    few = np.abs(run(2, 0) - run(2, 1)).mean()
    many = np.abs(run(200, 0) - run(200, 1)).mean()
    assert many < few / 4
