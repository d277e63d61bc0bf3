"""The terms of a regressor's loss, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triptych.nets.regressor_losses import loss_terms, pearson_loss, total


def two(members=3, b=11, t=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    guess, target = (torch.randn(members, b, t, generator=g, dtype=torch.float64) for _ in range(2))
    return guess, guess * 0.5 + target


def naive_pearson(guess, target, epsilon):
    found = []
    for a, b in zip(guess.T.tolist(), target.T.tolist(), strict=True):
        if min(b) == max(b):
            continue
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        both = sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True))
        sizes = sum((p - mean_a) ** 2 for p in a) ** 0.5 * sum((q - mean_b) ** 2 for q in b) ** 0.5
        found.append(both / (sizes + epsilon))
    return -sum(found) / len(found) if found else 0.0


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 3.0])
def test_terms_are_those_of_loops(epsilon):
    guess, target = two()
    terms = loss_terms(guess, target, epsilon)
    for at in range(3):
        error = guess[at].numpy() - target[at].numpy()
        assert terms["mse"][at].item() == pytest.approx((error**2).mean(), rel=1e-12)
        assert terms["mae"][at].item() == pytest.approx(np.abs(error).mean(), rel=1e-12)
        naive = naive_pearson(guess[at], target[at], epsilon)
        assert terms["pearson"][at].item() == pytest.approx(naive, rel=1e-12)
    weighed = total(terms, 0.3, 2.0)
    expected = terms["mse"] + 0.3 * terms["mae"] + 2 * terms["pearson"]
    assert torch.equal(weighed, expected)


def test_a_perfect_guess_has_minus_one_and_its_opposite_one():
    guess, _ = two()
    assert pearson_loss(3 * guess + 2, guess, 0.0).numpy() == pytest.approx(-1)
    assert pearson_loss(-guess, guess, 0.0).numpy() == pytest.approx(1)


def test_a_target_that_is_constant_in_the_batch_is_left_out():
    guess, target = two()
    target[1, :, 2] = 0.1  # whose mean is not 0.1 to the last bit
    guess.requires_grad_()
    found = pearson_loss(guess, target, 0.0)
    keep = [0, 1, 3]
    assert found[1].item() == pytest.approx(naive_pearson(guess[1][:, keep].detach(), target[1][:, keep], 0))
    found.sum().backward()
    assert torch.isfinite(guess.grad).all()
    assert (guess.grad[1, :, 2] == 0).all()


@pytest.mark.parametrize("epsilon", [0.0, 1e-6])
def test_nothing_that_varies_gives_no_nan(epsilon):
    guess = torch.zeros(2, 5, 3, requires_grad=True)  # the guess of a network whose last layer is 0
    varied = torch.arange(30.0).reshape(2, 5, 3)
    for target in (torch.ones(2, 5, 3), varied):
        terms = loss_terms(guess, target, epsilon)
        assert terms["pearson"].tolist() == [0, 0]
        (slope,) = torch.autograd.grad(terms["pearson"].sum(), guess)
        assert torch.isfinite(slope).all()


def test_the_slope_is_that_of_finite_differences():
    guess, target = two(members=2, b=6, t=3)
    guess.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total(loss_terms(x, target, 0.5), 0.0, 1.5), (guess,))
