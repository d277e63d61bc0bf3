"""The network: the layers it is made of, and that it learns."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import leaky_relu

from triptych.nets.vae import Seen, Shape, Vae, from_arrays, to_arrays
from triptych.nets.vae_losses import SpotWeights
from triptych.nets.vae_planes import rasterise
from triptych.nets.vae_shape import whole
from triptych.nets.vae_spots import logits
from triptych.nets.vae_training import Settings, encode, fit_vae, look, pictures

SHAPE = Shape(31, 3, 2, (6, 8, 8), (4, 6, 8), 5)


class Source:
    """Crops of two kinds: molecules of gene 0 and light on one side, or of gene 1 and light on the other."""

    def __init__(self, n=32, side=31, seed=0):
        rng = np.random.default_rng(seed)
        self.n, self.side, self.kind = n, side, np.arange(n) % 2
        half = np.where(self.kind, side // 2, 0)
        self.molecules = [
            (np.full(25, k), rng.integers(0, side, 25), rng.integers(0, side // 2, 25) + h)
            for k, h in zip(self.kind, half, strict=True)
        ]
        self.grey = rng.uniform(0, 20, (n, 2, side, side)).astype(np.float32)
        for row, h in enumerate(half):
            self.grey[row, 0, :, h : h + side // 2] += 100

    def spots(self, rows):
        parts = [(np.full(25, at), *self.molecules[row]) for at, row in enumerate(rows)]
        crop, gene, y, x = (np.concatenate(part).astype(np.int64) for part in zip(*parts, strict=True))
        return SimpleNamespace(crop=crop, gene=gene, y=y, x=x)

    def pixels(self, rows):
        return self.grey[rows]


def settings(**changes):
    given = {
        "spot_px": 3, "weights": SpotWeights(0.8, 0.4, 1.0, 2.0, 0.25), "rare": False, "beta": 0.0,
        "batch": 8, "epochs": 12, "lr": 3e-3, "eps": 1e-8, "decay": 0.0,
    }  # fmt: skip
    return Settings(**(given | changes))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def still(n):
    return torch.zeros(n, dtype=torch.int64)


def test_the_encoder_is_that_of_plain_layers():
    network, source = Vae(SHAPE, generator()), Source()
    seen = look(source, np.arange(6), SHAPE, settings(), quarters=still(6))
    first = network.encoder
    kernel = torch.cat([first.spots.view(3, 3, 3, 6).permute(3, 0, 1, 2), first.stains], 1)
    x = torch.cat([seen.planes.dense(), seen.pixels], 1)
    for at, weight in enumerate((kernel, *first.convolutions)):
        x = torch.nn.functional.conv2d(whole(x), weight, stride=2)
        x = leaky_relu(nn.BatchNorm2d(SHAPE.channels[at])(x), 0.1)
    expected = torch.nn.functional.linear(x.flatten(1), first.heads, first.bias)
    assert torch.allclose(torch.cat(first(seen), 1), expected, atol=1e-5)


@pytest.mark.parametrize("side", [31, 32, 33, 34, 37, 38])
def test_decoders_give_back_the_side_of_the_crop(side):
    shape = Shape(side, 3, 2, (6, 8, 8), (4, 6, 8), 5)
    network, z = Vae(shape, generator()), torch.randn(2, 5, generator=generator())
    assert network.paint(z).shape == (2, 2, side, side)
    assert logits(network.spots(z), network.spot_weight, network.spot_bias, side).shape == (2, 3, side, side)


def test_a_crop_too_small_or_decoders_that_differ_are_refused():
    with pytest.raises(ValueError, match="7 px is too small for 3 blocks; 8 px will do"):
        Vae(Shape(7, 3, 0, (6, 8, 8), (6, 8, 8), 5), generator())
    with pytest.raises(ValueError, match="not as many blocks"):
        Vae(Shape(31, 3, 2, (6, 8, 8), (6, 8), 5), generator())
    with pytest.raises(ValueError, match="nothing to encode"):
        Vae(SHAPE, generator()).encoder(Seen(None, None))


def test_molecules_and_stains_are_turned_alike():
    source, quarters = Source(), torch.tensor([0, 1, 2, 3])
    seen = look(source, np.arange(4), SHAPE, settings(spot_px=1), quarters=quarters)
    plain = look(source, np.arange(4), SHAPE, settings(spot_px=1), quarters=still(4))
    for row, k in enumerate(quarters.tolist()):
        assert torch.equal(seen.pixels[row], torch.rot90(plain.pixels[row], k, (1, 2)))
        assert torch.equal(seen.planes.dense()[row], torch.rot90(plain.planes.dense()[row], k, (1, 2)))


@pytest.mark.parametrize(("genes", "stains"), [(3, 0), (0, 2), (3, 2)])
def test_it_learns_what_can_be_told_apart(genes, stains):
    source, shape = Source(), Shape(31, genes, stains, (6, 8, 8), (6, 8, 8), 5)
    network, losses = fit_vae(source, shape, settings(epochs=20, lr=1e-2), generator())
    assert losses["total"][-1] < 0.9 * losses["total"][0]
    assert set(losses) == {"total"} | ({"transcripts"} if genes else set()) | (
        {"stains"} if stains else set()
    )
    assert all(len(values) == 20 for values in losses.values())
    assert np.allclose(sum(v for k, v in losses.items() if k != "total"), losses["total"], rtol=1e-5)
    seen = look(source, np.arange(32), shape, settings(), quarters=still(32))
    z = network.encoder(seen)[0]
    if stains:  # better than the best constant
        constant = seen.pixels.mean((0, 2, 3), keepdim=True)
        errors = [float(((x - seen.pixels)[:, 0] ** 2).mean()) for x in (network.paint(z), constant)]
        assert errors[0] < 0.8 * errors[1]
    if genes:  # the gene that is there is likelier than the one that is not
        p = torch.sigmoid(logits(network.spots(z), network.spot_weight, network.spot_bias, 31)).mean((2, 3))
        mine, other = p[range(32), source.kind], p[range(32), 1 - source.kind]
        assert (mine > other).float().mean() > 0.9


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_state_alone():
    state = torch.get_rng_state()
    one, two, three = (fit_vae(Source(), SHAPE, settings(epochs=2), generator(seed)) for seed in (0, 0, 1))
    for name, value in to_arrays(one[0]).items():
        assert np.array_equal(value, to_arrays(two[0])[name])
    assert np.array_equal(one[1]["total"], two[1]["total"])
    assert not np.array_equal(one[1]["total"], three[1]["total"])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_divergence_counts_where_it_has_a_weight():
    _, losses = fit_vae(Source(), SHAPE, settings(epochs=3, beta=0.5), generator())
    rest = losses["transcripts"] + losses["stains"]
    assert np.allclose(losses["total"], rest + 0.5 * losses["divergence"], rtol=1e-5)


def test_codes_have_no_chance_and_do_not_depend_on_their_company():
    source = Source(n=21)
    network, _ = fit_vae(source, SHAPE, settings(epochs=1), generator())
    whole = encode(network, source, settings(), sigma=True)
    assert whole.shape == (21, 10)
    assert (whole[:, 5:] > 0).all()
    assert np.array_equal(encode(network, source, settings()), whole[:, :5])
    few = SimpleNamespace(
        n=3, spots=lambda rows: source.spots(rows + 9), pixels=lambda rows: source.pixels(rows + 9)
    )
    assert np.array_equal(encode(network, few, settings(), sigma=True), whole[9:12])


def test_pictures_show_the_crop_beside_what_becomes_of_its_code():
    source = Source()
    network, _ = fit_vae(source, SHAPE, settings(epochs=1), generator())
    found = pictures(network, source, settings(), ("DAPI", "Membrane"))
    assert set(found) == {"transcripts", "DAPI", "Membrane"}
    rows = np.array([0, 6, 12, 18, 24, 31])
    seen = look(source, rows, SHAPE, settings(), quarters=still(6))
    for name, pair in found.items():
        assert pair.shape == (6, 2, 31, 31), name
        assert pair.dtype == np.uint8
    assert np.array_equal(
        found["transcripts"][:, 0], 255 * seen.planes.dense().amax(1).numpy().astype(np.uint8)
    )
    assert np.allclose(found["DAPI"][:, 0], 255 * seen.pixels[:, 0], atol=0.51)
    two = Source(n=2)
    assert pictures(network, two, settings(), ("DAPI", "Membrane"))["DAPI"].shape == (2, 2, 31, 31)


def test_arrays_make_the_same_network_and_others_are_refused():
    network = Vae(SHAPE, generator()).eval()
    again = from_arrays(to_arrays(network), SHAPE)
    seen = look(Source(), np.arange(4), SHAPE, settings(), quarters=still(4))
    assert torch.equal(network.encoder(seen)[0], again.encoder(seen)[0])
    with pytest.raises(ValueError, match="do not fit each other"):
        from_arrays(to_arrays(network), Shape(31, 4, 2, (6, 8, 8), (4, 6, 8), 5))


def test_an_empty_crop_has_a_code():
    network = Vae(Shape(31, 3, 0, (6, 8, 8), (6, 8, 8), 5), generator()).eval()
    nothing = torch.empty(0, dtype=torch.int64)
    mean, _ = network.encoder(Seen(rasterise((nothing,) * 4, (2, 3, 31), 3), None))
    assert torch.isfinite(mean).all()
    assert torch.equal(mean[0], mean[1])
