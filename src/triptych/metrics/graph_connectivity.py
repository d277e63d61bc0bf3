"""Whether each label hangs together in the graph of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from triptych.core.protocols import Codes
from triptych.maths.neighbours import Neighbours
from triptych.metrics.neighbourhoods import OfNeighbourhoods, narrow


@dataclass(frozen=True)
class GraphConnectivity(OfNeighbourhoods):
    """Share of a label that lies in its largest connected component, averaged over labels: 0 to 1.

    GC = 1/K Σ_c |LCC(G_c)| / n_c, with G_c the graph of neighbours among the n_c observations of label c.
    Needs no scaling: the raw value is the score. Exact neighbours, Euclidean.

    Parameters
    ----------
    neighbours
        Looked at around each observation, itself counted.
    connection
        ``strong`` follows edges in their direction, as scib-metrics does; ``weak`` in both, as scib does
        on its symmetric graph. Where more observations coincide than have room among the neighbours, strong
        components fall apart.
    """

    neighbours: int = 15
    connection: Literal["strong", "weak"] = "strong"

    name: ClassVar[str] = "graph-connectivity"
    groups: ClassVar[int] = 1
    against: ClassVar[Literal["truth", "space"]] = "space"
    greater_is_better: ClassVar[bool] = True
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1038/s41592-021-01336-8"

    def value(self, found: Neighbours, codes: Codes) -> float:
        """Mean share of the largest component."""
        codes, size = narrow(codes)
        component = connected_components(_within(found, codes), connection=self.connection)[1]
        count = np.bincount(component)
        largest = np.zeros(len(size), np.int64)
        np.maximum.at(largest, codes, count[component])  # no component spans two labels
        return float((largest / size).mean())


def _within(found: Neighbours, codes: Codes) -> sp.csr_matrix:
    """The edges between observations of one label, CSR of shape (n, n)."""
    indices = np.ascontiguousarray(found.indices)  # fewer neighbours than were found lie apart in memory
    same = codes[indices] == codes[:, None]
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(same, axis=1))])
    columns = indices[same]  # weights are doubles, as scipy's graphs would make them
    return sp.csr_matrix((np.ones(len(columns)), columns, start), shape=(len(codes), len(codes)))
