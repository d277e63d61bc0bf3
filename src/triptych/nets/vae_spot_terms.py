"""Dice and focal loss of logits, with their gradient written over them.

With p = σ(x), over the pixels of gene g in the whole batch,

    dice_g  = 1 − (2 Σ p t + s) / (Σ p + Σ t + s)
    focal_g = mean [ −α t (1 − p)^γ log p − (1 − α)(1 − t) p^γ log(1 − p) ]
    loss    = Σ_g w_g (dice · dice_g + focal · focal_g)

Both are computed as if all pixels were 0, and put right at those that are 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from triptych.nets.vae_losses import SpotWeights

PART = 2**16  # logits worked on at once, so that they stay in the cache


class Ones(NamedTuple):
    """Pixels that are 1.

    Attributes
    ----------
    gene
        Row of the logits, shape (m,).
    at
        Place in the flattened logits, shape (m,).
    """

    gene: Tensor
    at: Tensor


def compare(z: Tensor, ones: Ones, share: Tensor, *, weights: SpotWeights, pixels: int) -> Tensor:
    """The loss; the logits become its gradient to them.

    Parameters
    ----------
    z
        Logits, shape (k, p), contiguous.
    ones
        Which of them should be 1.
    share
        Weight of each gene, shape (k,).
    weights
        Of the terms.
    pixels
        Over how many the focal loss is averaged.
    """
    gamma, alpha, count = weights.gamma, weights.alpha, len(z)
    x = z.view(-1)[ones.at]
    p, q, no, yes = torch.sigmoid(x), torch.sigmoid(-x), softplus(x), softplus(-x)

    def summed(values: Tensor) -> Tensor:
        return x.new_zeros(count).index_add_(0, ones.gene, values)

    top = 2 * summed(p) + weights.smooth
    below = torch.bincount(ones.gene, minlength=count).to(x.dtype) + weights.smooth
    focal = summed(alpha * q**gamma * yes - (1 - alpha) * p**gamma * no)
    step = max(1, PART // z.shape[1])
    for start in range(0, count, step):
        part = slice(start, start + step)
        _as_zero(z[part], (top[part], below[part], focal[part]), share[part], weights=weights, pixels=pixels)
    of_dice = (top / below.square())[ones.gene] - 2 / below[ones.gene]
    of_focal = alpha * q**gamma * (gamma * p * yes + q)
    slope = weights.dice * of_dice * p * q - weights.focal / pixels * of_focal
    z.view(-1)[ones.at] = slope * share[ones.gene]
    return (share * (weights.dice * (1 - top / below) + weights.focal / pixels * focal)).sum()


def _as_zero(
    z: Tensor, sums: tuple[Tensor, Tensor, Tensor], share: Tensor, *, weights: SpotWeights, pixels: int
) -> None:
    """Add Σ p and the focal loss of pixels that are 0 to the sums; write their gradient over the logits."""
    top, below, focal = sums
    gamma, rest = weights.gamma, 1 - weights.alpha
    p, minus_log = torch.sigmoid(z), softplus(z)
    below += p.sum(1)
    power = p * p if gamma == 2 else p**gamma
    minus_log *= power
    focal += rest * minus_log.sum(1)
    # d/dx of p^γ · −log(1 − p) is γ (1 − p) p^γ · −log(1 − p) + p^γ p, and dp/dx is p (1 − p)
    minus_log.addcmul_(p, minus_log, value=-1).mul_(gamma)
    minus_log.addcmul_(power, p)
    p.addcmul_(p, p, value=-1).mul_((share * weights.dice * top / below.square())[:, None])
    torch.addcmul(p, minus_log, (share * (weights.focal * rest / pixels))[:, None], out=z)
