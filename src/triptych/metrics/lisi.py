"""The local inverse Simpson's index: how many groups a neighbourhood holds, in effect."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.neighbours import Neighbours
from triptych.metrics.neighbourhoods import compositions, each_block, narrow

TOLERANCE: Final = 1e-6  # nats of entropy
TRIES: Final = 64
STRIDE: Final = 2.0  # longest step of log β
FLAT: Final = 1e-12  # least variance of distances whose mean is 1
BENT: Final = 0.2  # Halley's correction is taken when it multiplies Newton's step by 0.2 to 5


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
    codes, size = narrow(codes)
    index = np.empty(len(found))

    def fill(rows: slice) -> None:
        p = weights(found.distances[rows, 1:], found.k / 3)
        share = compositions(codes[found.indices[rows, 1:]], len(size), p)
        index[rows] = 1 / np.einsum("ib,ib->i", share, share)

    each_block(len(found), found.k + len(size), fill)
    return index


def weights(distance: Matrix, perplexity: float) -> Matrix:
    """Weights p ∝ exp(-β d) of each row, β such that their entropy is log(perplexity).

    Entropy falls as β grows: from log m at 0, by β² var(d) / 2 at first, where the search starts. Halley's
    method on log β inside a bracket takes about four looks at a row.

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
    n, target = len(distance), np.log(perplexity)
    d, p, room = _scaled(distance), np.empty(distance.shape), np.empty((2, *distance.shape))
    log_beta, low, high = _start(d, perplexity), np.full(n, -np.inf), np.full(n, np.inf)
    rows = np.arange(n)  # that are still searched
    for left in range(TRIES - 1, -1, -1):
        raw, total, excess, step = _look(d, log_beta, target, room[:, : len(d)])
        far = (np.abs(excess) > TOLERANCE) & (left > 0)
        p[rows[~far]] = raw[~far] / total[~far, None]
        if not far.any():
            break
        low, high = np.where(excess > 0, log_beta, low), np.where(excess > 0, high, log_beta)
        log_beta = _inside(log_beta + step, low, high)
        if not far.all():
            rows, d = rows[far], d[far]
            log_beta, low, high = log_beta[far], low[far], high[far]
    return p


def _scaled(distance: Matrix) -> Matrix:
    """Distances beyond the smallest of the row, in units of their mean: leaves p and keeps a weight of 1."""
    d: Matrix = np.subtract(distance, distance.min(axis=1, keepdims=True))
    mean = d.mean(axis=1, keepdims=True)
    d /= np.where(mean > 0, mean, 1.0)
    return d


def _start(d: Matrix, perplexity: float) -> Vector:
    """Log β from the expansion of the entropy at 0, for rows whose mean is 1 or 0."""
    variance = np.einsum("ij,ij->i", d, d) / d.shape[1] - 1
    guess: Vector = np.log(2 * np.log(d.shape[1] / perplexity) / np.maximum(variance, FLAT)) / 2
    return guess


def _look(
    d: Matrix, log_beta: Vector, target: float, room: NDArray[np.float64]
) -> tuple[Matrix, Vector, Vector, Vector]:
    """Weights and their sums, the entropy above the target, and the step of log β that should end there.

    With f the excess and c₂, c₃ central moments of d under p: f' = -β² c₂ and f'' = β³ c₃ - 2 β² c₂. Works in
    ``room``, shape (2, b, m), as fresh memory costs more than the sums.
    """
    beta, (raw, product) = np.exp(log_beta), room
    np.multiply(d, -beta[:, None], out=raw)
    np.exp(raw, out=raw)
    total = raw.sum(axis=1)
    np.multiply(raw, d, out=product)
    m1 = product.sum(axis=1) / total
    np.multiply(product, d, out=product)
    m2, m3 = product.sum(axis=1) / total, np.einsum("ij,ij->i", product, d) / total
    excess = np.log(total) + beta * m1 - target
    c2, c3 = np.maximum(m2 - m1**2, 0.0), m3 - 3 * m1 * m2 + 2 * m1**3
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        newton = excess / (beta**2 * c2)
        bent = 1 - newton * (beta * c3 / c2 - 2) / 2
        step = np.where((bent > BENT) & (bent < 1 / BENT), newton / bent, newton)
    return raw, total, excess, np.clip(np.nan_to_num(step, nan=STRIDE), -STRIDE, STRIDE)


def _inside(proposed: Vector, low: Vector, high: Vector) -> Vector:
    """The proposal where it lies in its bracket, else the middle; a bracket has at least one end."""
    with np.errstate(invalid="ignore"):
        middle = (low + high) / 2
    outside = np.isfinite(middle) & ((proposed <= low) | (proposed >= high))
    return np.where(outside, middle, proposed)
