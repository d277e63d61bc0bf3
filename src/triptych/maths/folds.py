"""Dividing observations into those that train and those that test: one by one, or in blocks of neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Codes, Indices, Places
from triptych.maths.bootstrap import spatial_blocks


def by_place(places: Places) -> Indices:
    """Rows by section, then x, then y, shape (n,).

    What is drawn in this order does not depend on the order in which the observations came.
    """
    return np.lexsort((places.um[:, 1], places.um[:, 0], places.sample))


def blocks_of(places: Places, per_side: int) -> Codes:
    """Block of each observation, 0 … b-1, shape (n,); no block reaches into another section.

    Parameters
    ----------
    places
        Of n observations.
    per_side
        Blocks along the longer side of each section.
    """
    blocks, used = np.empty(len(places.sample), np.int64), 0
    for section in np.unique(places.sample):
        rows = np.flatnonzero(places.sample == section)
        blocks[rows] = spatial_blocks(places.um[rows], per_side) + used
        used = int(blocks[rows].max()) + 1
    return blocks


def random_folds(codes: Codes, folds: int, rng: np.random.Generator) -> Codes:
    """The fold in which each observation is tested, drawn one by one within its class.

    Each fold gets as many of a class, and as many in all, as every other, or one less.

    Parameters
    ----------
    codes
        Class of each observation, shape (n,).
    folds
        How many.
    rng
        Of the draws.

    Returns
    -------
    Codes, shape (n,), 0 … folds - 1.
    """
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), np.int64)
    fold[order] = np.arange(len(codes)) % folds
    return fold


def block_folds(codes: Codes, blocks: Codes, folds: int, rng: np.random.Generator) -> Codes:
    """The fold in which each observation is tested, the same for a whole block.

    Blocks are dealt by falling size, equal ones in random order, each to the fold f in which its classes are
    rarest: where Σ_c s_c t_fc is least, with s_c the share of class c that the block holds and t_fc the share
    that the fold holds already. Step by step this keeps Σ_f Σ_c t_fc² least. Size counts as much as all
    classes together.

    Parameters
    ----------
    codes
        Class of each observation, 0 … k-1, shape (n,).
    blocks
        Block of each, 0 … b-1, shape (n,).
    folds
        How many.
    rng
        Of the order.

    Returns
    -------
    Codes, shape (n,), 0 … folds - 1.

    Raises
    ------
    DataError
        When there are fewer blocks than folds.
    """
    k, b = int(codes.max()) + 1, int(blocks.max()) + 1
    if b < folds:
        raise DataError(
            f"The places make {b} blocks of neighbours, which cannot be dealt to {folds} folds.",
            "Ask for fewer folds or more blocks.",
        )
    held = np.bincount(blocks * k + codes, minlength=b * k).reshape(b, k).astype(np.float64)
    size = held.sum(axis=1)
    share = held / np.maximum(held.sum(axis=0), 1)
    share = np.column_stack([share, np.sqrt(k) * size / size.sum()])
    dealt, of = np.zeros((folds, k + 1)), np.empty(b, np.int64)
    shuffled = rng.permutation(b)
    for block in shuffled[np.argsort(-size[shuffled], kind="stable")]:
        of[block] = np.argmin(dealt @ share[block])
        dealt[of[block]] += share[block]
    return of[blocks]


def random_test(n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which observations test, drawn one by one, shape (n,).

    Parameters
    ----------
    n
        Observations.
    share
        Of them to be tested; at least one is, and at least one is not.
    rng
        Of the draws.
    """
    count = min(max(int(np.ceil(share * n)), 1), n - 1)
    test = np.zeros(n, bool)
    test[rng.permutation(n)[:count]] = True
    return test


def block_test(blocks: Codes, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which observations test, drawn block by block, shape (n,).

    Parameters
    ----------
    blocks
        Block of each observation, 0 … b-1, shape (n,).
    share
        Of the observations to be tested, as nearly as whole blocks can; at least one block is, and at least
        one is not.
    rng
        Of the draws.

    Raises
    ------
    DataError
        When there is one block only.
    """
    sizes = np.bincount(blocks)
    if len(sizes) < 2:
        raise DataError(
            "The places make one block of neighbours, which cannot be divided.", "Ask for more blocks."
        )
    order = rng.permutation(len(sizes))
    reached = np.cumsum(sizes[order])[:-1]
    drawn = order[: np.abs(reached - share * len(blocks)).argmin() + 1]
    return np.isin(blocks, drawn)


def tell_rare(who: str, codes: Codes, names: Sequence[str], folds: dict[str, Codes]) -> None:
    """Warn of classes that not every fold can test, or that no fold can both learn and test.

    Parameters
    ----------
    who
        Opens the message.
    codes
        Class of each observation, shape (n,).
    names
        Of the classes.
    folds
        Name of a way to divide → fold of each observation, shape (n,).

    Warns
    -----
    TriptychWarning
        When there are such classes; all in one message.
    """
    faults = Faults(who)
    for kind, fold in folds.items():
        count = int(fold.max()) + 1
        held = np.bincount(codes * count + fold, minlength=len(names) * count).reshape(-1, count) > 0
        some = held.sum(axis=1)
        few = [names[code] for code in np.flatnonzero((some > 1) & (some < count)).tolist()]
        lost = [names[code] for code in np.flatnonzero(some == 1).tolist()]
        faults.check(not few, f"folds ({kind}): not every fold holds {listing(few)}.")
        faults.check(
            not lost, f"folds ({kind}): all of {listing(lost)} lie in one fold and are never learned there."
        )
    if faults.found:
        warnings.warn(f"{who}: {' '.join(faults.found)}", TriptychWarning, stacklevel=3)
