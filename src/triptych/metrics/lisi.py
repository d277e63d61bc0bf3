"""The local inverse Simpson's index: how many groups a neighbourhood holds, in effect."""

from __future__ import annotations

from typing import Final

import numpy as np

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.neighbours import Neighbours
from triptych.metrics.neighbourhoods import blocks, compositions

TOLERANCE: Final = 1e-6  # nats of entropy
TRIES: Final = 64
STRIDE: Final = 2.0  # longest step of log beta outside a bracket


def lisi(found: Neighbours, codes: Codes) -> Vector:
    """Effective number of groups around each observation.

    LISI_i = 1 / Σ_b (Σ_{j in b} p_ij)², over the k - 1 neighbours j other than i, with weights
    p_ij ∝ exp(-β_i d_ij) whose perplexity is k / 3 (Korsunsky et al. 2019). Where more neighbours than that
    lie at the smallest distance, they share the weight.

    Parameters
    ----------
    found
        k neighbours of each of n observations, itself counted; k at least 4.
    codes
        Groups, shape (n,).

    Returns
    -------
    Shape (n,), from 1 to the number of groups.
    """
    names, codes = np.unique(codes, return_inverse=True)
    others, index = found.indices[:, 1:], np.empty(len(found))
    for rows in blocks(len(found), 4 * found.k):
        p = weights(found.distances[rows, 1:], found.k / 3)
        for part, share in compositions(others[rows], codes, len(names), p):
            index[rows][part] = 1 / np.einsum("ib,ib->i", share, share)
    return index


def weights(distance: Matrix, perplexity: float) -> Matrix:
    """Weights p ∝ exp(-β d) of each row, β such that their entropy is log(perplexity).

    Entropy falls as β grows; β is found by Newton's method on log β inside a bracket.

    Parameters
    ----------
    distance
        Shape (b, m), with m above the perplexity.
    perplexity
        Effective number of neighbours, above 1.

    Returns
    -------
    Shape (b, m), each row summing to one.
    """
    d = distance - distance.min(axis=1, keepdims=True)  # leaves p as it is and keeps a weight of 1
    mean = d.mean(axis=1, keepdims=True)
    d /= np.where(mean > 0, mean, 1.0)
    log_beta, low, high = np.zeros(len(d)), np.full(len(d), -np.inf), np.full(len(d), np.inf)
    p: Matrix = np.empty_like(d)
    open_rows = np.arange(len(d))
    for _ in range(TRIES):
        beta = np.exp(log_beta[open_rows])
        p[open_rows], excess, slope = _entropy(d[open_rows], beta, np.log(perplexity))
        low[open_rows] = np.where(excess > 0, log_beta[open_rows], low[open_rows])
        high[open_rows] = np.where(excess > 0, high[open_rows], log_beta[open_rows])
        far = np.abs(excess) > TOLERANCE
        open_rows, step = open_rows[far], _step(excess[far], slope[far])
        if not len(open_rows):
            break
        log_beta[open_rows] = _inside(log_beta[open_rows] + step, low[open_rows], high[open_rows])
    return p


def _entropy(d: Matrix, beta: Vector, target: float) -> tuple[Matrix, Vector, Vector]:
    """Weights, their entropy above the target, and how it falls with log beta."""
    p = np.exp(-beta[:, None] * d)
    total = p.sum(axis=1)
    p /= total[:, None]
    mean = np.einsum("ij,ij->i", p, d)
    square = np.einsum("ij,ij,ij->i", p, d, d)
    return p, np.log(total) + beta * mean - target, beta**2 * np.maximum(square - mean**2, 0.0)


def _step(excess: Vector, slope: Vector) -> Vector:
    """Newton's step, limited."""
    with np.errstate(divide="ignore", over="ignore"):
        step: Vector = np.clip(excess / slope, -STRIDE, STRIDE)
    return step


def _inside(proposed: Vector, low: Vector, high: Vector) -> Vector:
    """The proposal where it lies in its bracket, else the middle; a bracket has at least one end."""
    with np.errstate(invalid="ignore"):
        middle = (low + high) / 2
    outside = np.isfinite(middle) & ((proposed <= low) | (proposed >= high))
    return np.where(outside, middle, proposed)
