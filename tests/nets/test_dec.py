"""Kernels of dec against double loops and closed forms; when targets are made, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triptych.core.errors import NumericsError
from triptych.nets import dec
from triptych.nets.autoencoder import Coder
from triptych.nets.autoencoder_inputs import Inputs
from triptych.nets.dec import DecSettings, balanced, divergence, refine, sharpened, soft_assignment


@pytest.fixture
def z(rng):
    return torch.from_numpy(rng.normal(size=(30, 4)))


@pytest.fixture
def centres(rng):
    return torch.from_numpy(rng.normal(size=(3, 4)))


@pytest.fixture
def inputs(rng):
    x = rng.normal(size=(90, 6)) + 3 * np.eye(6)[np.arange(90) % 3]
    return Inputs((x,), np.zeros(6), np.ones(6), np.ones(6), 0.0)


def loop_q(z, centres, alpha):
    q = np.empty((len(z), len(centres)))
    for i in range(len(z)):
        for j in range(len(centres)):
            square = sum((a - b) ** 2 for a, b in zip(z[i], centres[j], strict=True))
            q[i, j] = (1 + square / alpha) ** (-(alpha + 1) / 2)
        q[i] /= q[i].sum()
    return q


def loop_p(q):
    f = [sum(q[i, j] for i in range(len(q))) for j in range(q.shape[1])]
    p = np.empty_like(q)
    for i in range(len(q)):
        below = sum(q[i, j] ** 2 / f[j] for j in range(q.shape[1]))
        for j in range(q.shape[1]):
            p[i, j] = q[i, j] ** 2 / f[j] / below
    return p


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_kernels_are_those_of_double_loops(z, centres, alpha):
    q = soft_assignment(z, centres, alpha)
    expected = loop_q(z.numpy(), centres.numpy(), alpha)
    assert np.allclose(q, expected, rtol=1e-12)
    p = sharpened(q)
    assert np.allclose(p, loop_p(expected), rtol=1e-12)
    loss = sum(
        p[i, j] * np.log(p[i, j] / q[i, j]) for i in range(len(q)) for j in range(q.shape[1])
    ) / len(q)  # fmt: skip
    assert float(divergence(p, q)) == pytest.approx(float(loss), rel=1e-12)


def test_weights_multiply_rows(z, centres):
    q = soft_assignment(z, centres)
    p, weight = sharpened(q), torch.arange(30.0)
    one_by_one = [float(divergence(p[i : i + 1], q[i : i + 1])) * i for i in range(30)]
    assert float(divergence(p, q, weight)) == pytest.approx(np.mean(one_by_one))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_gradients_are_those_of_the_paper(z, centres, alpha):
    """(α+1)/α Σ_j (1 + ‖z−µ‖²/α)⁻¹ (p − q)(z − µ), to the codes; its opposite, summed over i, to centres."""
    z.requires_grad_()
    centres.requires_grad_()
    q = soft_assignment(z, centres, alpha)
    p = sharpened(q).detach()
    (divergence(p, q) * len(z)).backward()
    gap = (z[:, None] - centres).detach().numpy()
    pull = (p - q).detach().numpy() / (1 + (gap**2).sum(axis=2) / alpha) * (alpha + 1) / alpha
    assert np.allclose(z.grad, np.einsum("ij,ijd->id", pull, gap), atol=1e-12)
    assert np.allclose(centres.grad, -np.einsum("ij,ijd->jd", pull, gap), atol=1e-12)


def test_gradients_are_those_of_differences(z, centres):
    z.requires_grad_()
    p = sharpened(soft_assignment(z, centres)).detach()
    assert torch.autograd.gradcheck(lambda z: divergence(p, soft_assignment(z, centres, 2.0)), (z,))


@pytest.mark.parametrize("target", [sharpened, lambda q: balanced(q, torch.tensor([0.2, 0.3, 0.5]))])
def test_rows_sum_to_1_and_targets_are_sharper(z, centres, target):
    q = soft_assignment(z, centres)
    p = target(q)
    assert np.allclose(p.sum(1), 1)
    assert np.allclose(q.sum(1), 1)
    entropy = lambda p: float(-(torch.xlogy(p, p)).sum())  # noqa: E731
    assert entropy(p) < entropy(q)


def test_the_order_of_clusters_does_not_matter(z, centres):
    order = torch.tensor([2, 0, 1])
    q, turned = soft_assignment(z, centres), soft_assignment(z, centres[order])
    assert torch.allclose(q[:, order], turned)
    assert torch.allclose(sharpened(q)[:, order], sharpened(turned))
    share = torch.tensor([0.2, 0.3, 0.5])
    assert torch.allclose(balanced(q, share)[:, order], balanced(turned, share[order]))


@pytest.mark.parametrize("share", [[0.2, 0.3, 0.5], [0.01, 0.09, 0.9], [1 / 3, 1 / 3, 1 / 3]])
def test_a_balanced_target_keeps_the_shares(z, centres, share):
    p = balanced(soft_assignment(z, centres), torch.tensor(share, dtype=torch.float64))
    assert np.allclose(p.mean(0), share, rtol=1e-3)


def test_a_balanced_target_is_the_square_times_one_number_per_cluster(z, centres):
    q = soft_assignment(z, centres)
    ratio = balanced(q, torch.tensor([0.2, 0.3, 0.5])) / q.square()
    ratio = ratio / ratio[:, :1]
    assert np.allclose(ratio, ratio[0])


def test_far_rows_and_empty_clusters_are_finite(z):
    far = torch.tensor([[0.0] * 4, [1.0] * 4, [1e18] * 4], dtype=torch.float32)
    q = soft_assignment(z.float(), far)
    for p in (sharpened(q), balanced(q, torch.tensor([0.5, 0.5, 0.0]))):
        assert torch.isfinite(p).all()
        assert torch.isfinite(divergence(p, q))


def settings(**changes):
    given = {
        "alpha": 1.0, "lr": 0.01, "batch": 32, "update_interval": 5, "tolerance": 0.0, "steps": 23,
    }  # fmt: skip
    return DecSettings(**(given | changes))


def run(inputs, *, target=sharpened, **changes):
    generator = torch.Generator().manual_seed(0)
    encoder = Coder((6, 8, 2), generator)
    centres = torch.randn((3, 2), generator=generator)
    return refine(encoder, centres, inputs, settings(**changes), target=target, generator=generator), encoder


def test_targets_are_made_of_all_observations_and_batches_between_them_see_the_same(inputs, monkeypatch):
    sizes, made, seen = [], [], []

    def target(q):
        sizes.append(len(q))
        made.append(sharpened(q))
        return made[-1]

    loss = dec.divergence

    def watched(p, q, weight=None):
        seen.append((len(made) - 1, p))
        return loss(p, q, weight)

    monkeypatch.setattr(dec, "divergence", watched)
    monkeypatch.setattr(dec, "_assign", assign := watch(dec._assign))
    run(inputs, target=target, tolerance=-1.0)
    assert sizes == [90] * 5  # before steps 0, 5, 10, 15 and 20 of 23
    assert len(assign.calls) == 5
    assert [number for number, _ in seen] == [step // 5 for step in range(23)]
    for number, p in seen:
        rows = {tuple(row) for row in made[number].numpy().round(6)}
        assert {tuple(row) for row in p.numpy().round(6)} <= rows


def watch(function):
    def wrapped(*given):
        wrapped.calls.append(given)
        return function(*given)

    wrapped.calls = []
    return wrapped


def test_it_stops_when_hardly_any_observation_changes_cluster(inputs):
    (_, changes), _ = run(inputs, lr=1e-9, steps=1000)
    assert changes == [0.0]
    (_, changes), _ = run(inputs, tolerance=1.0, steps=1000)
    assert len(changes) == 1
    (_, changes), _ = run(inputs, tolerance=-1.0, steps=23)
    assert len(changes) == 4


def test_encoder_and_centres_follow_the_target(inputs):
    x, made = torch.from_numpy(inputs.take(slice(None))), []

    def target(q):
        made.append(sharpened(q))
        return made[-1]

    once = {"target": target, "tolerance": -1.0, "update_interval": 100}
    (before, _), start = run(inputs, lr=1e-9, steps=1, **once)
    (after, _), moved = run(inputs, lr=0.05, steps=100, **once)
    assert not torch.equal(before, after)
    one, two = (soft_assignment(coder(x), mu) for coder, mu in ((start, before), (moved, after)))
    assert divergence(made[-1], two) < 0.8 * divergence(made[-1], one)
    assert not any(p.requires_grad for p in moved.parameters())


def test_divergence_is_an_error(inputs):
    with pytest.raises(NumericsError, match="dec: the assignments are not finite"):
        run(inputs, lr=1e30, tolerance=-1.0)
