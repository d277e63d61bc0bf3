"""Windows, network and loss against aestetik, from single files of the installed package."""

from __future__ import annotations

import importlib.util
import sys
import types
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
import torch

from triptych.maths.windows import neighbour_index, point_gaps_at_fill, window_medians
from triptych.nets.grid import Decoder, Encoder, GridShape
from triptych.nets.triplets import triplet_loss


def aestetik_file(path: str) -> types.ModuleType:
    """Load one file by its path, without its package, which wants lightning."""
    try:
        found = distribution("aestetik").locate_file(f"aestetik/{path}")
    except PackageNotFoundError:
        pytest.skip("aestetik is not installed")
    name = "oracle_" + path.replace("/", "_").removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, str(found))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def grid_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    return aestetik_file("utils/utils_grid.py")


@pytest.mark.parametrize("window", [1, 3, 5, 7])
def test_windows(grid_file, window):
    import anndata
    import pandas as pd

    rng = np.random.default_rng(window)
    full = np.stack(np.meshgrid(np.arange(9), np.arange(8)), -1).reshape(-1, 2)
    parts = [full[rng.random(len(full)) < 0.7] for _ in range(2)]
    grid, sample = np.concatenate(parts), np.repeat([0, 1], [len(part) for part in parts])
    x = rng.normal(size=(len(grid), 6))
    obs = pd.DataFrame({"x_array": grid[:, 0], "y_array": grid[:, 1], "s": sample.astype(str)})
    obs.index = obs.index.astype(str)
    table = anndata.AnnData(np.zeros((len(grid), 1), np.float32), obs=obs, obsm={"x": x})
    theirs = grid_file.create_st_grid(table, "x", window, 1, "s")

    scaled = ((x - x.min(0)) / np.ptp(x, axis=0)).astype(np.float32)
    index = neighbour_index(grid, sample, window)
    pile = np.concatenate([scaled, window_medians(scaled, index)])
    ours = pile[point_gaps_at_fill(index)].reshape(len(grid), window, window, 6).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours, theirs, atol=2e-7)


def reference_and_ours(window: int, members: int = 3, *, ceil: bool = False):
    """Their network with random weights and running statistics, in eval mode, and ours with copies."""
    shape = GridShape(6, window, hidden=8, latent=4, members=members, ceil=ceil)
    torch.manual_seed(window)
    theirs = aestetik_file("models/model.py").AE(
        6, window, c_hid=8, latent_dim=4, kernel_size=shape.kernel, p=0.3,
        n_ensemble_encoder=members, n_ensemble_decoder=members,
    )  # fmt: skip
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)  # some scales are negative
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    theirs.eval()
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = Encoder(shape, generator), Decoder(shape, generator)
    return shape, theirs, (encoder, copy_encoder(theirs, encoder)), (decoder, copy_decoder(theirs, decoder))


def copy_encoder(theirs, encoder: Encoder):
    units = [unit.encoder for unit in theirs.encoder_ensemble]
    with torch.no_grad():
        encoder.kernel.copy_(
            torch.cat([u[0].weight.permute(2, 3, 1, 0).reshape(-1, u[0].out_channels) for u in units], 1)
        )
        encoder.gain.copy_(torch.cat([u[1].weight for u in units]))
        encoder.shift.copy_(torch.cat([u[1].bias for u in units]))
        encoder.linear.copy_(torch.stack([u[6].weight.T for u in units]))
        encoder.bias.copy_(torch.stack([u[6].bias[None] for u in units]))
    mean = torch.cat([u[1].running_mean - u[0].bias for u in units]).detach()
    return mean, torch.cat([u[1].running_var for u in units])


def copy_decoder(theirs, decoder: Decoder):
    units = [unit.decoder for unit in theirs.decoder_ensemble]
    with torch.no_grad():
        decoder.linear.copy_(torch.stack([u[0].weight.T for u in units]))
        decoder.bias.copy_(torch.stack([u[0].bias[None] for u in units]))
        decoder.kernel.copy_(
            torch.stack([u[5].weight.permute(0, 2, 3, 1).reshape(decoder.kernel.shape[1:]) for u in units])
        )
        decoder.gain.copy_(torch.stack([u[6].weight for u in units]))
        decoder.shift.copy_(torch.stack([u[6].bias for u in units]))
    mean = torch.stack([u[6].running_mean - u[5].bias for u in units]).detach()
    return mean, torch.stack([u[6].running_var for u in units])


@pytest.mark.parametrize("members", [1, 2, 3, 4])
@pytest.mark.parametrize("window", [1, 3, 5, 7, 9, 11])
def test_network_in_eval_mode(window, members):
    _, theirs, (encoder, channels), (decoder, dimensions) = reference_and_ours(window, members)
    x = torch.rand(13, 6, window, window)
    with torch.no_grad():
        code, back = theirs(x)
        flat = x.permute(0, 2, 3, 1).reshape(13, window * window, 6)
        z = encoder(encoder.patches(flat), channels)
        guess = torch.sigmoid(decoder(z, dimensions))
    guess = guess.view(13, window, window, 6).permute(0, 3, 1, 2)
    torch.testing.assert_close(z, code, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(guess, back, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("window", [3, 5, 9])
def test_network_with_batch_statistics_and_its_gradients(window):
    """In training mode with dropout 0: outputs and the gradient of every convolution."""
    shape, theirs, (encoder, _), (decoder, _) = reference_and_ours(window)
    theirs.train()
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.p = 0.0
    x = torch.rand(29, 6, window, window)
    target = torch.rand(29, 6, window, window)
    code, back = theirs(x)
    (back - target).square().mean().backward()
    z = encoder(encoder.patches(x.permute(0, 2, 3, 1).reshape(29, window * window, 6)))
    guess = torch.sigmoid(decoder(z)).view(29, window, window, 6).permute(0, 3, 1, 2)
    (guess - target).square().mean().backward()
    torch.testing.assert_close(z, code, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(guess, back, atol=1e-5, rtol=1e-4)
    k, h = shape.kernel, shape.hidden
    first = theirs.encoder_ensemble[0].encoder[0].weight.grad.permute(2, 3, 1, 0).reshape(-1, h)
    torch.testing.assert_close(encoder.kernel.grad[:, :h], first, atol=1e-6, rtol=1e-3)
    last = theirs.decoder_ensemble[2].decoder[5].weight.grad.permute(0, 2, 3, 1).reshape(h, k * k, -1)
    torch.testing.assert_close(decoder.kernel.grad[2], last, atol=1e-6, rtol=1e-3)


def test_triplet_loss():
    their = aestetik_file("metrics/loss_function.py")
    g = torch.Generator().manual_seed(1)
    z = torch.randn(20, 4, generator=g)
    positive = torch.randint(20, (20, 5), generator=g)
    negative = torch.randint(20, (20, 5), generator=g)
    model = types.SimpleNamespace(encoder=lambda x: x)
    expected = their.compute_average_triplet_loss(
        model, z, z[positive], z[negative], torch.nn.TripletMarginLoss(), "cpu"
    )
    exists = torch.ones_like(positive, dtype=torch.bool)
    torch.testing.assert_close(triplet_loss(z, (positive, negative, exists)), expected)


def test_total_loss(monkeypatch):
    """One step of ours on two views equals their compute_loss, with the triplets that were drawn."""
    import triptych.nets.grid_training as ours

    their = aestetik_file("metrics/loss_function.py")
    shape = GridShape(6, 5, hidden=8, latent=4)
    g = torch.Generator().manual_seed(2)
    windows = ours.Windows(torch.rand(40, 6, generator=g), torch.randint(40, (20, 25), generator=g))
    views = [
        ours.View(4, 1.2, torch.arange(20) % 3, 3),
        ours.View(2, 1.8, torch.arange(20) % 4, 4),
    ]
    settings = ours.Settings(1, 20, 1e-3, 0.0, 0.0, 1.0, triplet=0.7, reconstruction=0.9)
    drawn, seen = [], {}
    draw = ours.draw_triplets
    monkeypatch.setattr(ours, "draw_triplets", lambda *a: drawn.append(draw(*a)) or drawn[-1])

    class Spy(ours.Decoder):
        def forward(self, z, *args, **kwargs):
            seen["z"], seen["y"] = z, super().forward(z, *args, **kwargs)
            return seen["y"]

    monkeypatch.setattr(ours, "Decoder", Spy)
    _, _, losses = ours.fit_encoder(windows, views, shape, settings, g)
    z = seen["z"].detach()
    image = lambda flat: flat.view(20, 25, 6).transpose(1, 2).reshape(20, 6, 5, 5)  # noqa: E731
    (p1, n1, _), (p2, n2, _) = drawn
    expected = their.compute_loss(
        types.SimpleNamespace(encoder=lambda x: x), image(windows.take(torch.arange(20))), z,
        image(torch.sigmoid(seen["y"].detach())), z[p1], z[n1], z[p2], z[n2], 1.2, 1.8,
        torch.nn.TripletMarginLoss(), 0.7, torch.nn.L1Loss(), 0.9, 4, "cpu",
    )[0]  # fmt: skip
    assert losses[0] == pytest.approx(float(expected), rel=1e-5)
