"""From markers to the chance of each class for each cell: what the annotators that read markers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from triptych.annotators.markers import fingerprint
from triptych.annotators.panel import Panel, panel_of
from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Counts, Matrix, Vector
from triptych.maths.counts import checked
from triptych.maths.rank_scores import rank_scores

TILT: Final = (
    4.0  # by how much a marker is expected to exceed its share of the tissue before any cell is seen
)
PSEUDO: Final = 50.0  # molecules that this expectation weighs


class Scored(NamedTuple):
    """Cells that were scored.

    Attributes
    ----------
    x
        Their counts, CSR of shape (n, g).
    panel
        The markers among the genes.
    programme
        Chance of each programme, shape (n, p).
    chance
        Chance of each class, shape (n, c); NaN for cells without counts.
    """

    x: sp.csr_matrix
    panel: Panel
    programme: Matrix
    chance: Matrix


@dataclass(frozen=True)
class Scoring:
    """How cells are scored by markers; the parameters are told in `MarkerScore`."""

    markers: str = "human"
    classes: tuple[str, ...] = ()
    least_genes: int = 2
    combine: Literal["max", "mean"] = "max"
    temperature: float = 1.0
    rounds: int = 1
    sure: float = 0.9
    overdispersion: float = 0.06
    max_rank: int = 0

    def __post_init__(self) -> None:
        if not self.markers:
            raise ValueError("markers must name a marker file, or one that is shipped: human")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes must not name one twice")
        if self.least_genes < 1:
            raise ValueError("least_genes must be at least 1")
        if not 0 < self.temperature < np.inf:
            raise ValueError("temperature must be above 0")
        if self.rounds < 0:
            raise ValueError("rounds must not be negative; 0 learns no profiles")
        if not 0 < self.sure <= 1:
            raise ValueError("sure must lie above 0 and at most at 1")
        if not 0 <= self.overdispersion <= 1:
            raise ValueError("overdispersion must lie between 0 and 1")
        if self.max_rank < 0:
            raise ValueError("max_rank must not be negative; 0 cuts nowhere")

    def fingerprint(self) -> str:
        """The sha256 of the marker file, part of the identity of what is made with it.

        Raises
        ------
        WeightsError
            When there is no such file, or it cannot be read.
        """
        return fingerprint(self.markers)

    def scored(self, annotator: str, counts: Counts, sample: Codes) -> Scored:
        """Score the cells by the markers; ``annotator`` opens messages."""
        faults, n = Faults(annotator), counts.matrix.shape[0]
        faults.check(len(sample) == n, f"{n} cells but {len(sample)} codes of samples")
        faults.raise_if_any()
        x = checked(counts.matrix)
        panel = panel_of(annotator, counts, self.markers, self.classes, self.least_genes)
        z = self._deviations(x, panel)
        programme = softmax(self.temperature * z)
        if not self.rounds:
            return Scored(x, panel, programme, _known(x, self._alone(z, panel)))
        clear = _by_class(programme, panel).max(axis=1) >= self.sure
        programme *= clear[:, None]
        for _ in range(self.rounds):
            programme = _learned(x, programme, panel, self.overdispersion)
        return Scored(x, panel, programme, _known(x, _by_class(programme, panel)))

    def _deviations(self, x: sp.csr_matrix, panel: Panel) -> Matrix:
        """How far each programme stands out, less how far its negative genes do, if they do; (n, p)."""
        largest = max(int(panel.positive.sum(axis=1).max()), int(panel.negative.sum(axis=1).max()))
        max_rank = max(self.max_rank, largest) if self.max_rank else 0
        z = rank_scores(x, panel.positive, max_rank=max_rank).z
        against = panel.negative.any(axis=1)
        if against.any():
            # the same few genes speak against many programmes
            kinds, which = np.unique(panel.negative[against], axis=0, return_inverse=True)
            z[:, against] -= np.maximum(rank_scores(x, kinds, max_rank=max_rank).z, 0)[:, which.ravel()]
        return z

    def _alone(self, z: Matrix, panel: Panel) -> Matrix:
        """Chance of each class from the scores of the cell alone."""
        over = np.max if self.combine == "max" else np.mean
        score = [over(z[:, panel.of == code], axis=1) for code in range(len(panel.classes))]
        return softmax(self.temperature * np.stack(score, axis=1))


def softmax(x: Matrix) -> Matrix:
    """Positive values that add up to 1 in each row, in proportion to exp(x)."""
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _known(x: sp.csr_matrix, chance: Matrix) -> Matrix:
    """The chances, NaN for cells without counts."""
    return np.where(np.asarray(x.sum(axis=1)).reshape(-1, 1) > 0, chance, np.nan)


def _by_class(chance: Matrix, panel: Panel) -> Matrix:
    """Chances of the classes from those of their programmes, shape (n, c)."""
    return np.asarray(chance @ np.eye(len(panel.classes))[panel.of])


def _learned(x: sp.csr_matrix, weight: Matrix, panel: Panel, overdispersion: float) -> Matrix:
    """Chance of each programme from profiles over all genes that are learned from weighted cells, (n, p)."""
    tissue = np.asarray(x.sum(axis=0), np.float64).ravel() + 1
    tissue /= tissue.sum()
    expected = tissue * np.where(panel.positive, TILT, 1.0) / np.where(panel.negative, TILT, 1.0)
    expected /= expected.sum(axis=1, keepdims=True)
    seen = np.asarray((x.T @ weight).T)
    profile = (seen + PSEUDO * expected) / (seen.sum(axis=1, keepdims=True) + PSEUDO)
    share = (weight.sum(axis=0) + 1) / (weight.sum() + len(weight.T))
    likelihood = np.asarray(x @ np.log(profile / tissue).T)
    return softmax(likelihood * _trust(x, overdispersion)[:, None] + np.log(share))


def _trust(x: sp.csr_matrix, overdispersion: float) -> Vector:
    """What a molecule weighs where molecules of a cell are not independent, shape (n,)."""
    total = np.asarray(x.sum(axis=1), np.float64).ravel()
    return np.asarray(1 / (1 + np.maximum(total - 1, 0) * overdispersion))
