"""How far each known type and its one cluster are the same observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from triptych.analyses.known_types import by_number, called, met
from triptych.core.analysis import Material
from triptych.maths.matching import hits, jaccard, one_to_one


@dataclass(frozen=True)
class Jaccard:
    """Jaccard index |A ∩ B| / |A ∪ B| of each known type A and the one cluster B that is matched to it.

    Clusters are matched to types one to one for the largest sum of indices (Kuhn 1955, the Hungarian
    method).
    """

    takes: ClassVar[frozenset[str]] = frozenset({"truth"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1111/j.1469-8137.1912.tb05611.x"

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Compare each type with its cluster.

        Parameters
        ----------
        material
            Labels and known labels; observations that lack either take part in nothing.
        rng
            Not used.

        Returns
        -------
        One row per known type that occurs, by falling number: ``group`` (the type), ``n`` of its
        observations, ``jaccard`` (0 to 1) and the ``cluster`` it is matched to, a dash where there is none.

        Raises
        ------
        DataError
            When there are no known labels, or none that meets a group; when lengths differ.
        """
        table = met("jaccard", material)
        order = by_number(table)
        index = jaccard(table)
        matched = one_to_one(index)
        return pd.DataFrame(
            {
                "group": np.array([material.truth_names[row] for row in order], dtype=object),
                "n": np.asarray(table.sum(axis=1)).ravel()[order],
                "jaccard": hits(index, matched)[order],
                "cluster": called(matched, material.names, order),
            }
        )
