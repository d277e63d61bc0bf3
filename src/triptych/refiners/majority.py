"""Each observation takes the label that most of its surroundings have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from triptych.core.checks import Faults
from triptych.core.protocols import Codes, Places
from triptych.maths.graphs import ROWS, nearest_places


@dataclass(frozen=True)
class Majority:
    """A vote of the nearest places of the same section, the place itself included.

    On a tie an observation keeps its own label if that is among the best, else takes the smallest code.

    Parameters
    ----------
    neighbours
        How many vote; a section with fewer places lets all vote.
    """

    neighbours: int = 10

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError("neighbours must be at least 1")

    def refine(self, labels: Codes, places: Places) -> Codes:
        """Let the neighbours vote.

        Parameters
        ----------
        labels
            Cluster codes, shape (n,).
        places
            Where the n observations lie.

        Returns
        -------
        Codes of the same kind, shape (n,); a code may have no observation left.

        Raises
        ------
        DataError
            When labels are missing or do not match the places.
        """
        faults = Faults("majority")
        faults.check(len(labels) == len(places.um), f"{len(labels)} labels but {len(places.um)} places.")
        faults.check(not bool((labels < 0).any()), "some labels are missing. Leave those rows out.")
        faults.raise_if_any()
        codes, own = np.unique(labels, return_inverse=True)
        graph = nearest_places(places, self.neighbours)
        starts = range(0, len(labels), ROWS)
        won = [_winners(graph[start : start + ROWS], own, start, len(codes)) for start in starts]
        return codes[np.concatenate(won)] if won else labels


def _winners(graph: sp.csr_matrix, own: Codes, start: int, kinds: int) -> Codes:
    """The label with the most votes in each row of a block of the graph."""
    rows = graph.shape[0]
    row = np.repeat(np.arange(rows), np.diff(graph.indptr))
    votes = np.bincount(row * kinds + own[graph.indices], minlength=rows * kinds).reshape(rows, kinds)
    votes = 2 * votes
    votes[np.arange(rows), own[start : start + rows]] += 1  # half a vote settles a tie for one's own label
    return np.asarray(votes.argmax(axis=1))
