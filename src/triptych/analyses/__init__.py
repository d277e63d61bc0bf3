"""Analyses: labels with counts or a space → a tidy table."""

from __future__ import annotations

from typing import Final

from triptych.core.analysis import Analysis
from triptych.core.registry import Registry

registry: Final = Registry(
    "analyses",
    (Analysis,),
    {
        "markers": "triptych.analyses.markers:Markers",
        "pathways": "triptych.analyses.pathways:Pathways",
        "recall": "triptych.analyses.recall:Recall",
        "jaccard": "triptych.analyses.jaccard:Jaccard",
        "permanova": "triptych.analyses.permanova:Permanova",
        "permdisp": "triptych.analyses.permdisp:Permdisp",
        "forest": "triptych.analyses.forest:Forest",
        "ridge": "triptych.analyses.ridge:Ridge",
        "colocalisation": "triptych.analyses.colocalisation:Colocalisation",
        "colocalisation-similarity": "triptych.analyses.colocalisation_similarity:ColocalisationSimilarity",
        "nuclei-scores": "triptych.analyses.nuclei_scores:NucleiScores",
        "predictability": "triptych.analyses.predictability:Predictability",
    },
)
