"""Losses of autoencoders of crops: against their equations on dense planes, loops and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from triptych.nets import vae_spots
from triptych.nets.lanes import side_by_side
from triptych.nets.vae_losses import SpotWeights, divergence, gene_weights, stretch
from triptych.nets.vae_planes import rasterise
from triptych.nets.vae_spot_terms import Ones, compare
from triptych.nets.vae_spots import logits, spot_loss


def textbook(guess, target, genes, weights):
    """As the equations stand, on dense planes of shape (b, genes, side, side)."""
    p = torch.sigmoid(guess)
    both, all_p, all_t = ((part).sum((0, 2, 3)) for part in (p * target, p, target))
    dice = 1 - (2 * both + weights.smooth) / (all_p + all_t + weights.smooth)
    entropy = binary_cross_entropy_with_logits(guess, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    alpha_t = weights.alpha * target + (1 - weights.alpha) * (1 - target)
    focal = (alpha_t * (1 - p_t) ** weights.gamma * entropy).mean((0, 2, 3))
    return (genes * (weights.dice * dice + weights.focal * focal)).mean()


def problem(side, *, genes=7, channels=5, batch=3, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    n = side // 2
    h = torch.randn(batch, channels, n, n, generator=g, dtype=dtype, requires_grad=True)
    weight = (torch.randn(3, 3, genes, channels, generator=g, dtype=dtype)).requires_grad_()
    bias = torch.randn(genes, generator=g, dtype=dtype, requires_grad=True)
    spots = [
        torch.randint(high, (30,), generator=g) for high in (batch, genes - 1, side, side)
    ]  # one gene absent
    return (h, weight, bias), rasterise(tuple(spots), (batch, genes, side), 3)


WEIGHTS = [
    SpotWeights(1.0, 0.2, 1.0, 2.0, 0.25),
    SpotWeights(0.8, 0.4, 0.5, 0.0, 0.5),
    SpotWeights(0.0, 1.0, 1.0, 3.5, 0.9),
    SpotWeights(1.0, 0.0, 2.0, 2.0, 0.25),
]


@pytest.mark.parametrize("side", [13, 14])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_fused_loss_and_its_gradient_are_those_of_dense_planes(side, weights, weighted):
    given, planes = problem(side)
    genes = torch.tensor([0.3, 1, 0, 0.7, 0.01, 0.5, 0]) if weighted else None
    found = spot_loss(*given, planes, weights=weights, genes=genes)
    dense = textbook(logits(*given, side), planes.dense(), 1.0 if genes is None else genes, weights)
    assert torch.allclose(found, dense, atol=1e-6)
    one, other = torch.autograd.grad(3 * found, given), torch.autograd.grad(3 * dense, given)
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-6 * float(b.abs().max()) + 1e-9)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_gradient_is_that_of_finite_differences(weights):
    given, planes = problem(6, genes=3, channels=2, batch=2, dtype=torch.float64)
    genes = torch.tensor([1.0, 0.4, 0.2], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *parts: spot_loss(*parts, planes, weights=weights, genes=genes), given, atol=1e-7
    )


def test_many_blocks_in_two_threads_give_what_one_gives(monkeypatch):
    given, planes = problem(14)
    weights = WEIGHTS[0]
    whole = spot_loss(*given, planes, weights=weights, genes=None)
    expected = torch.autograd.grad(whole, given)
    for name, value in (("GENES", 2), ("FEW", 0), ("PART", 17 * 5)):
        monkeypatch.setattr(vae_spots, name, value)
    monkeypatch.setattr(vae_spots.torch, "get_num_threads", lambda: 2)
    for _ in range(2):
        found = spot_loss(*given, planes, weights=weights, genes=None)
        assert torch.allclose(found, whole, atol=1e-6)
        for a, b in zip(torch.autograd.grad(found, given), expected, strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-7)


def test_genes_of_weight_0_and_empty_planes_have_no_loss_and_no_gradient():
    given, planes = problem(14)
    loss = spot_loss(*given, planes, weights=WEIGHTS[0], genes=torch.zeros(7))
    assert float(loss.detach()) == 0
    assert not any(part.any() for part in torch.autograd.grad(loss, given))


@pytest.mark.parametrize("size", [60.0, 3000.0])
def test_far_logits_stay_finite(size):
    z = torch.tensor([[-size, size, -size, size]])
    ones = Ones(torch.tensor([0, 0]), torch.tensor([2, 3]))
    loss = compare(z, ones, torch.ones(1), weights=WEIGHTS[0], pixels=4)
    assert torch.isfinite(loss)
    assert torch.isfinite(z).all()
    assert float(loss) == pytest.approx(0.2 / 4 * (0.25 + 0.75) * size + 1 - 3 / 5, rel=1e-5)


def test_side_by_side_keeps_the_order_and_leaves_the_threads_of_the_caller():
    before = torch.get_num_threads()
    found = side_by_side(lambda task: (task, torch.get_num_threads(), torch.is_grad_enabled()), [3, 1, 2])
    assert found == [(3, 1, False), (1, 1, False), (2, 1, False)]
    assert torch.get_num_threads() == before
    assert side_by_side(lambda task: task, [5]) == [5]


def test_gene_weights_are_those_of_a_loop(rng):
    crop, gene = rng.integers(0, 4, 60), rng.choice(5, 60, p=[0.5, 0.3, 0.15, 0.05, 0])
    crop[crop == 2] = 3  # a crop without molecules
    expected = np.zeros(5)
    for c in range(4):
        n = [int(((crop == c) & (gene == g)).sum()) for g in range(5)]
        expected += [max(n) / k if k else 0 for k in n]
    expected /= expected.max()
    found = gene_weights(torch.from_numpy(crop), torch.from_numpy(gene), 4, 5)
    assert np.allclose(found, expected)
    assert found[4] == 0


def test_gene_weights_of_nothing_are_0():
    nothing = torch.empty(0, dtype=torch.int64)
    assert not gene_weights(nothing, nothing, 2, 3).any()


def test_divergence_is_that_of_normal_distributions(rng):
    mean, log_variance = (torch.from_numpy(rng.normal(size=(6, 3))) for _ in "ab")
    unit = torch.distributions.Normal(torch.zeros(6, 3), 1.0)
    other = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(other, unit).sum(1).mean()
    assert torch.allclose(divergence(mean, log_variance), expected)


def test_stretched_channels_run_from_0_to_1_and_constant_ones_are_0(rng):
    pixels = torch.from_numpy(rng.uniform(50, 900, (2, 3, 6, 6)).astype(np.float32))
    pixels[1, 2] = 40
    found = stretch(pixels)
    for b in range(2):
        for c in range(3):
            x = pixels[b, c].numpy()
            expected = np.zeros_like(x) if (b, c) == (1, 2) else (x - x.min()) / (x.max() - x.min())
            assert np.allclose(found[b, c], expected)
