"""The mean silhouette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Matrix
from triptych.maths.silhouette import silhouettes


@dataclass(frozen=True)
class Silhouette:
    """How much nearer observations are to their own cluster than to the next one: -1 to 1.

    Needs no truth; say in which space it was measured. Exact, Euclidean, in blocks of rows.

    Parameters
    ----------
    block_mb
        Memory for the distances held at once, in megabytes; does not change the value.
    """

    block_mb: float = 32.0

    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    mixing: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1016/0377-0427(87)90125-7"

    def __post_init__(self) -> None:
        if not self.block_mb > 0:
            raise ValueError("block_mb must be above 0")

    def score(self, truth: Matrix, guess: Codes) -> float:
        """Average the silhouettes.

        Parameters
        ----------
        truth
            The space, shape (n, d).
        guess
            Cluster codes, shape (n,).

        Raises
        ------
        DataError
            When there are not 2 to n - 1 clusters, or values are missing or not finite.
        """
        faults = Faults("silhouette")
        n, k = len(truth), len(np.unique(guess))
        faults.check(n == len(guess), f"{n} rows but {len(guess)} guesses.")
        faults.check(2 <= k < n, f"it needs 2 to n - 1 clusters and there are {k} of {n} observations.")
        faults.check(not bool((guess < 0).any()), "some guesses are missing. Leave those rows out.")
        faults.check(bool(np.isfinite(truth).all()), "some values are not finite. Leave those rows out.")
        faults.raise_if_any()
        codes = np.unique(guess, return_inverse=True)[1]
        return float(silhouettes(truth, codes, block_mb=self.block_mb).mean())
