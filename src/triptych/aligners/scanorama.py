"""Scanorama: batches are stitched where they overlap, by their mutual nearest neighbours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from triptych.aligners.door import check_sizes, faults_of
from triptych.aligners.scanorama_fitted import PART, SMALL, FittedScanorama
from triptych.core.checks import listing
from triptych.core.errors import NumericsError, TriptychWarning
from triptych.core.extras import need
from triptych.core.models import Fit
from triptych.core.protocols import Codes, Matrix
from triptych.maths.threads import one_thread
from triptych.nets.seeding import global_seed


@dataclass(frozen=True)
class Scanorama:
    """Move each batch by the smoothed differences between its rows and their matches in other batches.

    Parameters
    ----------
    sigma
        Sharpness of the smoothing: a match at distance r, in units of the view's root mean square norm,
        weighs exp(−sigma·r²/2).
    knn
        Neighbours looked at when matching; every batch needs as many rows.
    alpha
        Least fraction of matched rows, in either batch, at which two batches are stitched together.

    Notes
    -----
    Neighbours are exact: the approximate search is built by many threads and gives other bits each time.
    The view is divided by its root mean square norm on the way in and multiplied on the way out, since
    the method was made for rows of unit norm. Batches never seen are stitched to the corrected rows of the
    fit, as `FittedScanorama` says.
    """

    sigma: float = 15.0
    knn: int = 20
    alpha: float = 0.1

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41587-019-0113-3"
    extra: ClassVar[tuple[str, str]] = ("scanorama", "align")

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.knn < 1:
            raise ValueError("sigma must be above 0 and knn at least 1")
        if not 0 <= self.alpha < 1:
            raise ValueError("alpha must be at least 0 and below 1")

    def align(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Stitch the batches of ``x`` together.

        Parameters
        ----------
        x
            Shape (n, d), commonly principal components.
        batch
            Code of the batch of each row, shape (n,).
        rng
            Not drawn from.

        Returns
        -------
        Shape (n, d), rows in the order of ``x``. With a single batch, ``x`` as it is.

        Raises
        ------
        DataError
            When values are not finite, codes are missing, lengths differ, or a batch is smaller than
            ``knn``; all faults together.
        MissingExtraError
            When scanorama is not installed.
        NumericsError
            When scanorama refuses to correct.
        """
        return self.fit(x, batch, rng).value

    def fit(self, x: Matrix, batch: Codes, rng: np.random.Generator) -> Fit[Matrix, FittedScanorama]:
        """As `align`, and keep the corrected rows, to which batches never seen are matched."""
        faults = faults_of("scanorama", x, batch)
        check_sizes(faults, batch, self.knn, SMALL)
        faults.raise_if_any()
        rows = [np.flatnonzero(batch == code) for code in np.unique(batch)]
        wide = np.asarray(x, np.float64)
        norm = float(np.sqrt((wide**2).sum(axis=1).mean())) or 1.0
        aligned = x
        if len(rows) > 1:
            aligned = np.empty_like(wide)
            for part, value in zip(rows, self._stitched([wide[part] / norm for part in rows]), strict=True):
                aligned[part] = value * norm
        reference = (np.asarray(aligned, np.float64) / norm).astype(np.float32)
        return Fit(aligned, FittedScanorama(reference, norm, self.sigma, self.knn, self.alpha))

    def restore(self, folder: Path) -> FittedScanorama:
        """Read a model that was saved."""
        return FittedScanorama.load(folder)

    def _stitched(self, parts: list[Matrix]) -> list[Matrix]:
        """The batches, corrected."""
        with (
            global_seed(0),
            one_thread(),
        ):  # imported, it seeds numpy; at work, it changes filters of warnings
            library = need("scanorama", "align")
            pairs, matches = library.find_alignments(
                parts, knn=self.knn, approx=False, alpha=self.alpha, verbose=0
            )
            stitched: list[Any] = library.assemble(
                parts, sigma=self.sigma, batch_size=PART, alignments=pairs, matches=matches, verbose=0
            )
        _tell_unmatched(len(parts), pairs, self.alpha)
        if any(isinstance(part, np.matrix) for part in stitched):  # its sign of having given up on one
            raise NumericsError("scanorama: the smoothing failed.", "Lower sigma.")
        return stitched


def _tell_unmatched(count: int, pairs: list[tuple[int, int]], alpha: float) -> None:
    """Warn of batches that overlap with no other and therefore stay where they are."""
    alone = sorted(set(range(count)) - {number for pair in pairs for number in pair})
    if alone:
        warnings.warn(
            f"scanorama: batches {listing(map(str, alone))} match no other at alpha {alpha} and stay as is.",
            TriptychWarning,
            stacklevel=4,
        )
