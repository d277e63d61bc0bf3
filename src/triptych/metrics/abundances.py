"""What every metric of abundance refuses."""

from __future__ import annotations

import numpy as np

from triptych.core.checks import Faults
from triptych.core.protocols import Matrix


def check_abundances(metric: str, truth: Matrix, guess: Matrix, *, negative: bool = True) -> None:
    """Refuse abundances that cannot be compared.

    Parameters
    ----------
    metric
        Its name, to open the message.
    truth, guess
        Shape (n, t).
    negative
        Whether values below 0 are accepted.

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(metric)
    _check_truth(faults, truth)
    same = truth.shape == guess.shape
    faults.check(
        same, f"the truth has shape {truth.shape} and the guess {guess.shape}; they must be the same."
    )
    for name, values in (("the truth", truth), ("the guess", guess)):
        _check_finite(faults, name, values)
        below = int((values < 0).sum())
        faults.check(negative or below == 0, f"{below} values of {name} are below 0; no proportions follow.")
    faults.raise_if_any()


def check_interval(metric: str, truth: Matrix, guess: Matrix) -> None:
    """Refuse intervals that cannot be judged.

    Parameters
    ----------
    metric
        Its name, to open the message.
    truth
        Shape (n, t).
    guess
        Low and high ends, shape (2, n, t).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(metric)
    _check_truth(faults, truth)
    _check_finite(faults, "the truth", truth)
    _check_finite(faults, "the interval", guess)
    wanted = (2, *truth.shape)
    if faults.check(guess.shape == wanted, f"the interval has shape {guess.shape}; it needs {wanted}."):
        crossed = int((guess[0] > guess[1]).sum())
        faults.check(crossed == 0, f"{crossed} intervals have a low end above their high end.")
    faults.raise_if_any()


def _check_truth(faults: Faults, truth: Matrix) -> None:
    shaped = faults.check(truth.ndim == 2, f"the truth has shape {truth.shape}; it needs (n, t).")
    if shaped:
        faults.check(truth.size > 0, "there is no observation, or no type, whose abundance is known.")


def _check_finite(faults: Faults, name: str, values: Matrix) -> None:
    bad = int((~np.isfinite(values)).sum())
    faults.check(bad == 0, f"{bad} values of {name} are not finite. Leave those rows out.")
