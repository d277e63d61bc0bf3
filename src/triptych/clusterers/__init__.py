"""Clusterers: (n, d) → labels."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import Clusterer
from triptych.core.registry import Registry

registry: Final = Registry(
    "clusterers",
    (Clusterer,),
    {
        "kmeans": "triptych.clusterers.kmeans:KMeans",
        "gaussian": "triptych.clusterers.gaussian:Gaussian",
        "leiden": "triptych.clusterers.leiden:Leiden",
        "dec": "triptych.clusterers.dec:Dec",
        "louvain": "triptych.clusterers.louvain:Louvain",
        "multiplex-leiden": "triptych.clusterers.multiplex_leiden:MultiplexLeiden",
    },
)
