"""Losses of autoencoders of crops."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class SpotWeights(NamedTuple):
    """How the planes of molecules are compared.

    Attributes
    ----------
    dice, focal
        Weight of the Dice loss and of the focal loss.
    smooth
        Added to numerator and denominator of Dice, so that an absent gene has one.
    gamma
        Power of the focal loss; 0 is cross-entropy.
    alpha
        Weight of pixels that are 1 in it; the others have 1 − alpha.
    """

    dice: float
    focal: float
    smooth: float
    gamma: float
    alpha: float


def gene_weights(crop: Tensor, gene: Tensor, batch: int, genes: int) -> Tensor:
    """Weights by which rare genes count as much as frequent ones.

    Of each crop max_h n_h / n_g, 0 where n_g = 0; their mean over the batch, divided by the largest.

    Parameters
    ----------
    crop, gene
        Of each molecule, shape (m,).
    batch, genes
        Numbers of both.

    Returns
    -------
        Shape (genes,), at most 1; all 0 where there are no molecules.
    """
    counts = torch.bincount(crop * genes + gene, minlength=batch * genes).view(batch, genes).float()
    most = counts.amax(1, keepdim=True)
    weight = torch.where(counts > 0, most / counts.clamp(min=1), 0).mean(0)
    return weight / weight.max().clamp(min=torch.finfo(weight.dtype).tiny)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence from the unit normal, summed over the code and averaged over the batch."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def stretch(pixels: Tensor) -> Tensor:
    """Bring each channel of each crop to 0 … 1 by its least and largest value; a constant one is 0.

    Parameters
    ----------
    pixels
        Grey values, shape (b, c, h, w).
    """
    low = pixels.amin((2, 3), keepdim=True)
    width = pixels.amax((2, 3), keepdim=True) - low
    return (pixels - low) / torch.where(width > 0, width, 1)
