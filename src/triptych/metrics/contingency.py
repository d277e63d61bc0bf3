"""How often each truth meets each guess, and what that table tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Vector


def check_codes(metric: str, truth: Codes, guess: Codes) -> None:
    """Refuse labels that cannot be compared.

    Parameters
    ----------
    metric
        Its name, to open the message.
    truth
        Shape (n,).
    guess
        Shape (n,).

    Raises
    ------
    DataError
        With every fault found.
    """
    faults = Faults(metric)
    faults.check(len(truth) == len(guess), f"{len(truth)} true labels but {len(guess)} guesses.")
    faults.check(len(truth) > 0, "there is no labelled observation.")
    for name, codes in (("true labels", truth), ("guesses", guess)):
        missing = int((codes < 0).sum())
        faults.check(missing == 0, f"{missing} {name} are missing. Leave those rows out.")
    faults.raise_if_any()


@dataclass(frozen=True, eq=False)
class Contingency:
    """The cells in use of the table truth × guess, and its margins.

    Parameters
    ----------
    cells
        Counts above zero.
    row
        Margin of the truth of each cell, the shape of ``cells``.
    column
        Margin of the guess of each cell.
    truth
        Size of each true class.
    guess
        Size of each guessed cluster.
    """

    cells: Vector
    row: Vector
    column: Vector
    truth: Vector
    guess: Vector

    @classmethod
    def of(cls, truth: Codes, guess: Codes) -> Contingency:
        """Count two arrays of codes, each of shape (n,)."""
        _, t, rows = np.unique(truth, return_inverse=True, return_counts=True)
        _, g, columns = np.unique(guess, return_inverse=True, return_counts=True)
        pair, cells = np.unique(t.astype(np.int64) * len(columns) + g, return_counts=True)
        row, column = rows[pair // len(columns)], columns[pair % len(columns)]
        return cls(*(counts.astype(np.float64) for counts in (cells, row, column, rows, columns)))

    @property
    def mutual_information(self) -> float:
        """Σ p(t, g) log(p(t, g) / p(t) p(g)), in nats."""
        n = self.cells.sum()
        value = float((self.cells / n * np.log(self.cells * n / (self.row * self.column))).sum())
        return max(value, 0.0)

    @property
    def entropies(self) -> tuple[float, float]:
        """Entropy of the truth and of the guess, in nats."""
        return _entropy(self.truth), _entropy(self.guess)


def _entropy(sizes: Vector) -> float:
    if len(sizes) < 2:
        return 0.0
    p = sizes / sizes.sum()
    return float(-(p * np.log(p)).sum())
