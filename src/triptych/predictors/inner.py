"""What is held out inside a fit, and the intervals that follow from how wrong the guesses there were."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Indices, Matrix, Places, Vector
from triptych.maths.folds import blocks_of

PER_SIDE = 4  # blocks along the longer side of a section, where there is one section only


def inner_folds(groups: Codes, places: Places, *, most: int = 5) -> Codes:
    """The inner fold in which each observation is held out.

    Whole groups are, where there are two or more; else whole sections; else blocks of neighbours. They are
    dealt by falling size, each to the fold that holds least.

    Parameters
    ----------
    groups
        Code of what may not be divided, shape (n,).
    places
        Where the observations lie.
    most
        Largest number of folds.

    Returns
    -------
    Codes, shape (n,), 0 … f - 1 with 2 ≤ f ≤ ``most``.

    Raises
    ------
    DataError
        When there is one group, one section and one place.
    """
    for codes in (groups, places.sample):
        if len(np.unique(codes)) > 1:
            return _dealt(codes, most)
    blocks = blocks_of(places, PER_SIDE)
    if not blocks.any():
        raise DataError(
            "There is one group, one section and one place, so nothing can be held out inside the fit.",
            "Give more than one donor or section, or observations that lie apart.",
        )
    return _dealt(blocks, most)


def _dealt(codes: Codes, most: int) -> Codes:
    """Codes merged to at most ``most`` of about equal size."""
    of, sizes = np.unique(codes, return_inverse=True, return_counts=True)[1:]
    held, fold = np.zeros(min(most, len(sizes)), np.int64), np.empty(len(sizes), np.int64)
    for code in np.argsort(-sizes, kind="stable"):
        fold[code] = np.argmin(held)
        held[fold[code]] += sizes[code]
    return np.asarray(fold[of.ravel()])


def learned_and_tested(folds: Codes) -> Iterator[tuple[Indices, Indices]]:
    """Of each fold, the rows of all others and its own."""
    for fold in range(int(folds.max()) + 1):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def summed_errors(truth: Matrix, guesses: Matrix) -> Vector:
    """How wrong each of several guesses is: Σ_t mean_i (y_it - ŷ_it)² / var(y_t).

    Settings are chosen by it.

    Parameters
    ----------
    truth
        Shape (n, t); a type that does not vary plays no part.
    guesses
        Of s settings, shape (s, n, t).

    Returns
    -------
    Shape (s,).
    """
    variance = truth.var(axis=0)
    weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
    return np.array([((truth - guess) ** 2).mean(axis=0) @ weight for guess in guesses])


def margins(residual: Matrix, spread: Matrix, level: float) -> Vector:
    """How many spreads wide an interval must be on either side.

    The conformal quantile of |r| / s: of m scores in order the one numbered ⌈(m + 1) level⌉. An interval of
    that many spreads around the guess holds at least ``level`` of the values of observations that are
    exchangeable with these, whatever the distribution (Lei et al. 2018; that the guesses are those of inner
    folds: Barber et al. 2021, Vovk et al. 2018). Observations of another donor are exchangeable with them
    only as far as donors resemble each other.

    Parameters
    ----------
    residual
        Truth less a guess that did not learn from it, shape (m, t).
    spread
        Above 0, shape (m, t) or (m, 1).
    level
        Share of values, between 0 and 1.

    Returns
    -------
    Shape (t,); the largest score where m is too small.
    """
    scores = np.sort(np.abs(residual) / spread, axis=0)
    m = len(scores)
    rank = int(np.ceil((m + 1) * level - 1e-9))  # the product of m + 1 and 0.9 may lie a bit above a whole
    return np.asarray(scores[min(max(rank, 1), m) - 1], np.float64)


def bounded(values: Matrix, spread: Matrix, margin: Vector, types: tuple[str, ...]) -> Abundance:
    """Guesses with their intervals; none below 0, for no abundance is.

    Parameters
    ----------
    values
        Shape (n, t).
    spread
        Shape (n, t) or (n, 1).
    margin
        As `margins` gives, shape (t,).
    types
        Names of the t types.
    """
    values = np.clip(values, 0.0, None)
    width = np.asarray(spread) * margin
    return Abundance(values, types, low=np.clip(values - width, 0.0, None), high=values + width)
