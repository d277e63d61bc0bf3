"""Mean silhouettes of many partitions of the same rows, from distances that are measured once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import scipy.sparse as sp

from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Codes, Matrix, Vector
from triptych.maths.neighbours import threads
from triptych.maths.silhouette import COLUMNS, ROWS, factors, from_sums
from triptych.maths.threads import one_thread

MOST: Final = 20_000  # rows whose distances are measured, drawn from all where there are more


def best_of(clusterer: str, partitions: Sequence[Codes], values: Vector, least: int) -> int:
    """Which partition is best among those with enough clusters.

    Parameters
    ----------
    clusterer
        Its name, for the warning.
    partitions
        Codes 0 … k - 1 each, shape (n,).
    values
        How good each is, higher is better.
    least
        Clusters that are enough.

    Returns
    -------
    Its index; the first of those that tie.

    Warns
    -----
    TriptychWarning
        When none has enough; the best of those with the most clusters is taken then.
    """
    counts = np.array([int(codes.max()) + 1 for codes in partitions])
    most = int(counts.max())
    if most < least:
        text = (
            f"{clusterer}: no setting tried gives {least} clusters or more; the most are {most}, taken here."
        )
        warnings.warn(text, TriptychWarning, stacklevel=4)
    return int(np.where(counts >= min(least, most), values, -np.inf).argmax())


def mean_silhouettes(x: Matrix, partitions: Sequence[Codes], seed: int = 0) -> Vector:
    """The mean silhouette of each partition, as `triptych.maths.silhouette.silhouettes` defines it.

    Each tile of the distances is measured once and summed for every partition, so that forty take hardly
    longer than two. Partitions that are equal are summed once. The bits do not depend on the number of
    threads. Of more than `MOST` rows, so many stand for all, the same for every partition.

    Parameters
    ----------
    x
        Shape (n, d).
    partitions
        Codes 0 … k - 1 each, every one in use, shape (n,).
    seed
        Draws the rows that stand for all.

    Returns
    -------
    Shape (partitions,), between -1 and 1; 0 for a partition into one cluster, which has no next one.
    """
    if len(x) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(len(x), MOST, replace=False))
        partitions = [np.unique(codes[rows], return_inverse=True)[1] for codes in partitions]
        x = x[rows]
    places: dict[bytes, int] = {}
    place = [places.setdefault(np.asarray(codes, np.int64).tobytes(), len(places)) for codes in partitions]
    distinct = [np.frombuffer(key, np.int64) for key in places]
    many = [index for index, codes in enumerate(distinct) if codes.max() > 0]
    values = np.zeros(len(distinct))
    if many:
        values[many] = _means(np.asarray(x, np.float64), [distinct[index] for index in many])
    return np.asarray(values[place])


def _means(x: Matrix, partitions: list[Codes]) -> Vector:
    """Mean silhouettes of partitions into two clusters or more, tile by tile."""
    left, right = factors(x)
    sizes = [np.bincount(codes) for codes in partitions]
    members, cuts = _members(partitions, sizes)

    def of_block(start: int) -> Vector:
        block = slice(start, min(start + ROWS, len(x)))
        each = np.split(_sums(left, right, members, block).T, cuts, axis=1)
        return np.array([
            from_sums(sums, codes[block], size).sum()
            for sums, codes, size in zip(each, partitions, sizes, strict=True)
        ])  # fmt: skip

    workers = threads()  # asked before the limit is set
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        total = sum(pool.map(of_block, range(0, len(x), ROWS)), start=np.zeros(len(partitions)))
    return total / len(x)


def _members(partitions: Sequence[Codes], sizes: Sequence[Codes]) -> tuple[list[sp.csr_matrix], Codes]:
    """Who is in each cluster of each partition, (clusters, b) for each tile; and where partitions part."""
    ends = np.cumsum([len(size) for size in sizes])
    codes = np.stack(partitions) + (ends - [len(size) for size in sizes])[:, None]
    found = []
    for start in range(0, codes.shape[1], COLUMNS):
        tile = codes[:, start : start + COLUMNS]
        column = np.broadcast_to(np.arange(tile.shape[1]), tile.shape).ravel()
        shape = (int(ends[-1]), tile.shape[1])
        found.append(sp.csr_matrix((np.ones(tile.size), (tile.ravel(), column)), shape=shape))
    return found, ends[:-1]


def _sums(left: Matrix, right: Matrix, members: list[sp.csr_matrix], block: slice) -> Matrix:
    """Sum of distances from each row of the block to each cluster, shape (clusters, b)."""
    sums = np.zeros((members[0].shape[0], block.stop - block.start))
    for start, member in zip(range(0, len(left), COLUMNS), members, strict=True):
        distance = left[start : start + COLUMNS] @ right[:, block]
        np.maximum(distance, 0.0, out=distance)
        np.sqrt(distance, out=distance)
        own = np.arange(max(block.start, start), min(block.stop, start + len(distance)))
        distance[own - start, own - block.start] = 0.0
        sums += member @ distance
    return sums
