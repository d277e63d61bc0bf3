"""Annotators: counts of single cells → the type of each, and how sure it is."""

from __future__ import annotations

from typing import Final

from triptych.core.nuclei import Annotator
from triptych.core.registry import Registry

registry: Final = Registry(
    "annotators",
    (Annotator,),
    {
        "marker-score": "triptych.annotators.marker_score:MarkerScore",
        "hierarchical": "triptych.annotators.hierarchical:Hierarchical",
        "cluster-vote": "triptych.annotators.cluster_vote:ClusterVote",
        "precomputed": "triptych.annotators.precomputed:Precomputed",
    },
)
