"""Intervals by resampling what is exchangeable: blocks of neighbouring spots, or donors; never spots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from triptych.core.protocols import Codes, Indices, Matrix, Vector

LEVEL = 0.95


def spatial_blocks(um: Matrix, per_side: int = 5) -> Codes:
    """Block of each observation: a square lattice of at most ``per_side`` blocks along the longer side.

    Parameters
    ----------
    um
        Coordinates of one section, shape (n, 2).
    per_side
        Blocks along the longer side.

    Returns
    -------
    Codes, shape (n,), 0 … number of blocks that hold observations - 1.
    """
    low = um.min(axis=0)
    side = max(float((um.max(axis=0) - low).max()) / per_side, np.finfo(np.float64).tiny)
    cell = np.minimum(((um - low) / side).astype(np.int64), per_side - 1)
    return np.unique(cell[:, 0] * per_side + cell[:, 1], return_inverse=True)[1].ravel()


def block_interval(
    statistic: Callable[[Indices], float], blocks: Codes, rng: np.random.Generator, *, draws: int = 200
) -> tuple[float, float]:
    """Percentile interval of a statistic under resampling of whole blocks.

    Parameters
    ----------
    statistic
        Rows, with repeats → value.
    blocks
        Block of each row, shape (n,).
    rng
        Of the draws.
    draws
        Number of resamples.

    Returns
    -------
    Low and high end of the 95 % interval; NaN with fewer than 3 blocks.
    """
    count = int(blocks.max()) + 1
    if count < 3:
        return float("nan"), float("nan")
    order = np.argsort(blocks, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(blocks, minlength=count))[:-1])
    values = [
        statistic(np.concatenate([rows[block] for block in rng.integers(count, size=count)]))
        for _ in range(draws)
    ]
    return percentile_interval(np.asarray(values))


def group_interval(
    values: Vector, groups: Codes, rng: np.random.Generator, *, draws: int = 2000
) -> tuple[float, float]:
    """Percentile interval of a mean under resampling of groups, e.g. of donors.

    Parameters
    ----------
    values
        Shape (n,).
    groups
        Group of each value, shape (n,).
    rng
        Of the draws.
    draws
        Number of resamples.

    Returns
    -------
    Low and high end of the 95 % interval; NaN with fewer than 3 groups.
    """
    count = int(groups.max()) + 1
    if count < 3:
        return float("nan"), float("nan")
    sums = np.bincount(groups, weights=values, minlength=count)
    sizes = np.bincount(groups, minlength=count)
    drawn = rng.integers(count, size=(draws, count))
    return percentile_interval(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))


def percentile_interval(values: Vector) -> tuple[float, float]:
    """Ends of the central 95 % of values."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
