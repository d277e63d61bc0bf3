"""Which known types the groups find, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.protocols import Codes, Indices, Material
from triptych.maths.matching import by_majority, hits, one_to_one, shared

NONE = "–"  # no cluster is called after the type


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
        truth = _known(material)
        table = shared(truth, material.labels)
        size = np.asarray(table.sum(axis=1)).ravel()
        held = np.asarray(table.sum(axis=0)).ravel()
        if not size.any():
            raise DataError("recall: no observation has both a known label and a group.", "Label some.")
        order = [row for row in np.argsort(-size, kind="stable") if size[row]]
        voted, assigned = by_majority(table), one_to_one(table)
        found, alone = hits(table, voted), hits(table, assigned)
        return pd.DataFrame(
            {
                "group": np.array([material.truth_names[row] for row in order], dtype=object),
                "n": size[order],
                "recall": (found / np.maximum(size, 1))[order],
                "recall_hungarian": (alone / np.maximum(size, 1))[order],
                "precision": (found / np.maximum(_within(held, voted, len(size)), 1))[order],
                "clusters": _called(voted, material.names, order),
                "cluster": _called(assigned, material.names, order),
            }
        )


def _known(material: Material) -> Codes:
    """The codes of the known labels, or a refusal of material that does not fit together."""
    if material.truth is None:
        raise DataError("recall: no known labels were given.", "In a recipe, read a study with obs:truth.")
    faults, truth = Faults("recall"), material.truth
    labels = len(material.labels)
    faults.check(len(truth) == labels, f"there are known labels of {len(truth)} rows and labels of {labels}.")
    for codes, names in ((truth, material.truth_names), (material.labels, material.names)):
        most = int(codes.max(initial=-1))
        faults.check(most < len(names), f"code {most} has no name; there are {len(names)}.")
    faults.raise_if_any()
    return truth


def _within(held: Indices, types: Indices, count: int) -> Indices:
    """How many observations the clusters called after each type hold, shape (count,)."""
    some = types >= 0
    return np.bincount(types[some], held[some], count).astype(np.int64)


def _called(types: Indices, names: tuple[str, ...], order: list[int]) -> list[str]:
    """Names of the clusters of each type, in the order of their codes."""
    return [", ".join(names[code] for code in np.flatnonzero(types == row)) or NONE for row in order]
