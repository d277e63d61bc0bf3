"""Which known types the groups find, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.analyses.known_types import by_number, called, met
from triptych.core.analysis import Material
from triptych.core.protocols import Indices
from triptych.maths.matching import by_majority, hits, one_to_one


@dataclass(frozen=True)
class Recall:
    """Recall and precision of each known type, when clusters are called after types.

    By majority a cluster is called after the type that most of it belongs to, and a type may have many; by
    the Hungarian method (Kuhn 1955) each type has one at most, for the largest overlap of all.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"truth"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1002/nav.3800020109"

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Count how much of each type its clusters hold.

        Parameters
        ----------
        material
            Labels and known labels; observations that lack either take part in nothing.
        rng
            Not used.

        Returns
        -------
        One row per known type that occurs, by falling number: ``group`` (the type), ``n`` of its
        observations, ``recall`` and ``precision`` by majority with the ``clusters`` called after it, and
        ``recall_hungarian`` with its one ``cluster``. A type that is never found has recall 0, precision 0
        and a dash for its clusters.

        Raises
        ------
        DataError
            When there are no known labels, or none that meets a group; when lengths differ.
        """
        table = met("recall", material)
        size = np.asarray(table.sum(axis=1)).ravel()
        held = np.asarray(table.sum(axis=0)).ravel()
        order = by_number(table)
        voted, assigned = by_majority(table), one_to_one(table)
        found, alone = hits(table, voted), hits(table, assigned)
        return pd.DataFrame(
            {
                "group": np.array([material.truth_names[row] for row in order], dtype=object),
                "n": size[order],
                "recall": (found / np.maximum(size, 1))[order],
                "recall_hungarian": (alone / np.maximum(size, 1))[order],
                "precision": (found / np.maximum(_within(held, voted, len(size)), 1))[order],
                "clusters": called(voted, material.names, order),
                "cluster": called(assigned, material.names, order),
            }
        )


def _within(held: Indices, types: Indices, count: int) -> Indices:
    """How many observations the clusters called after each type hold, shape (count,)."""
    some = types >= 0
    return np.bincount(types[some], held[some], count).astype(np.int64)
