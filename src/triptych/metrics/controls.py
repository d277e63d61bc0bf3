"""Guesses whose score is known beforehand: a floor and a ceiling for every metric."""

from __future__ import annotations

import numpy as np

from triptych.core.protocols import Codes


def shuffled(guess: Codes, rng: np.random.Generator) -> Codes:
    """The same cluster sizes, laid out by chance: the floor.

    Parameters
    ----------
    guess
        Cluster codes, shape (n,).
    rng
        Draws the order.
    """
    return rng.permutation(guess)


def oracle(truth: Codes) -> Codes:
    """The truth as a guess: the ceiling, shape (n,)."""
    return truth.copy()


def constant(n: int) -> Codes:
    """All observations in one cluster, shape (n,): what a method that does nothing gives."""
    return np.zeros(n, np.int64)
