"""The conditional decoder, the losses across sections, and their training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triptych.nets.grid import GridShape
from triptych.nets.grid_joint import ConditionalDecoder, JointData, JointSettings, Matches, fit_joint
from triptych.nets.grid_joint_losses import draw_alike, energy, pair_loss
from triptych.nets.grid_training import Windows
from triptych.nets.triplets import draw_triplets

SHAPE = GridShape(3, 3, hidden=4, latent=2, members=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_decoder_hears_the_section():
    decoder = ConditionalDecoder(SHAPE, 3, generator())
    z, sections = torch.zeros(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    out = decoder(z, sections, dropout=0.0, generator=generator())
    assert out.shape == (6, 9, 3)
    torch.testing.assert_close(out[:3], out[3:])
    assert (out[0] - out[1]).abs().max() > 1e-3


def test_one_section_is_told_nothing():
    decoder = ConditionalDecoder(SHAPE, 1, generator())
    assert decoder.decoder.shape.latent == SHAPE.latent
    z = torch.randn(6, 2, generator=generator())
    decoder(z, torch.zeros(6, dtype=torch.int64), dropout=0.0, generator=generator()).sum().backward()
    assert decoder.gain.grad is None  # nor is its output moved


def test_pair_loss_is_that_of_a_loop():
    g = generator()
    z, labels = torch.randn(20, 4, generator=g), torch.randint(3, (20,), generator=g)
    drawn = draw_triplets(labels, 4, g)  # the fourth cluster is absent
    paired, matched = torch.tensor([2, 5, 11]), torch.randn(3, 4, generator=g)
    terms = [
        max(0.0, float((z[a] - p + 1e-6).norm() - (z[a] - z[n] + 1e-6).norm() + 1.5))
        for a, p in zip(paired, matched, strict=True)
        for n, there in zip(drawn[1][a], drawn[2][a], strict=True)
        if there
    ]
    assert float(pair_loss(z, paired, matched, drawn, 1.5)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_draws_stay_in_their_group_and_reach_all_of_it():
    groups = torch.tensor([4, 0, 4, 2, 0, 4])
    draws = torch.stack([draw_alike(groups, generator(seed)) for seed in range(60)])
    assert torch.equal(groups[draws], groups.expand(60, -1))
    assert set(draws[:, 0].tolist()) == {0, 2, 5}


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """½ (2E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖), over all pairs."""
    mean = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2).mean()  # noqa: E731
    return float(mean(x, y) - (mean(x, x) + mean(y, y)) / 2)


def test_energy_is_half_the_energy_distance_on_average():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(300, 3)), draw.normal(0.8, 1.5, size=(300, 3))
    z = torch.tensor(np.vstack([x, y]))
    section, labels = torch.arange(2).repeat_interleave(300), torch.zeros(600, dtype=torch.int64)
    estimates = [float(energy(z, labels, section, 2, generator(seed))) for seed in range(200)]
    assert np.mean(estimates) == pytest.approx(energy_distance(x, y), abs=0.01)


def test_energy_leaves_alone_what_one_section_has_alone():
    section = torch.tensor([0, 0, 0, 1, 1, 1])
    z = torch.randn(6, 2, generator=generator()).requires_grad_()
    energy(z, section, section, 2, generator()).backward()
    assert float(z.grad.abs().sum()) == 0.0


def fit(**changes):
    g, n = generator(1), 40
    windows = Windows(torch.rand(2 * n, 3, generator=g), torch.randint(2 * n, (n, 9), generator=g))
    section = torch.arange(2).repeat_interleave(n // 2)
    given = {
        "epochs": 6, "batch": 100, "lr": 1e-2, "weight_decay": 0.0, "dropout": 0.1, "margin": 1.0,
        "reconstruction": 1.0, "triplet": 1.0, "pairing": 1.0, "mixing": 0.5, "refresh": 0,
    }  # fmt: skip
    asked: list[bool] = []

    def matcher(encoder):
        asked.append(encoder is not None)
        partners = torch.arange(n)[:, None].flip(0).clone()
        partners[::3] = -1
        return Matches(torch.arange(n) % 3, 3, partners)

    data = JointData(windows, section, 2, section, ((2, 0.7), (1, 0.3)))
    return *fit_joint(data, SHAPE, JointSettings(**given | changes), matcher, generator()), asked


@pytest.mark.parametrize(("refresh", "times"), [(0, 1), (2, 3), (4, 2), (9, 1)])
def test_matches_are_found_before_training_and_at_each_refresh(refresh, times):
    *_, losses, asked = fit(refresh=refresh)
    assert asked == [False] + [True] * (times - 1)
    assert len(losses) == 6


@pytest.mark.parametrize("batch", [100, 16])
def test_the_loss_falls_in_one_batch_and_in_many(batch):
    losses = fit(epochs=60, batch=batch)[2]
    assert losses[-1] < 0.9 * losses[0]


def test_losses_that_are_off_add_nothing():
    _, _, losses, _ = fit(reconstruction=1.0, triplet=0.0, pairing=0.0, mixing=0.0, dropout=0.0)
    assert losses[0] < 1.0  # a mean absolute error of values in [0, 1]
