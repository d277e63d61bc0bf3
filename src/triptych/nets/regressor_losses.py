"""The loss of a regressor: squared and absolute errors, and correlation by target over the batch.

    L = MSE + λ₁ MAE + λ₂ L_P,   L_P = −mean_t Σ_i a_it b_it / (√Σ_i a_it² √Σ_i b_it² + ε)

with a and b the guess and the truth less their means over the batch. The mean is over the targets that vary
in the batch: of one that does not, a correlation says nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-30  # keeps the root of no variance from an infinite slope


def loss_terms(guess: Tensor, target: Tensor, epsilon: float) -> dict[str, Tensor]:
    """Each term of each member's loss.

    Parameters
    ----------
    guess, target
        Of the same observations, shape (members, b, t).
    epsilon
        Addend of the denominator of the correlation.

    Returns
    -------
        ``mse``, ``mae`` and ``pearson``, each of shape (members,).
    """
    error = guess - target
    return {
        "mse": error.square().mean((1, 2)),
        "mae": error.abs().mean((1, 2)),
        "pearson": pearson_loss(guess, target, epsilon),
    }


def pearson_loss(guess: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """L_P of each member, shape (members,); 0 where no target varies."""
    varies = target.amax(1) > target.amin(1)
    a, b = (x - x.mean(1, keepdim=True) for x in (guess, target))
    sizes = a.square().sum(1).clamp(min=TINY).sqrt() * b.square().sum(1).clamp(min=TINY).sqrt()
    r = (a * b).sum(1) / (sizes + epsilon)
    return -torch.where(varies, r, 0).sum(1) / varies.sum(1).clamp(min=1)


def total(terms: dict[str, Tensor], mae: float, pearson: float) -> Tensor:
    """Their weighted sum, shape (members,)."""
    return terms["mse"] + mae * terms["mae"] + pearson * terms["pearson"]
