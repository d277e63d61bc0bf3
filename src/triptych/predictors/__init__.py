"""Predictors: views by role, or windows of pixels → abundance with its interval."""

from __future__ import annotations

from typing import Final

from triptych.core.abundance import Predictor
from triptych.core.registry import Registry

registry: Final = Registry(
    "predictors",
    (Predictor,),
    {
        "mlp": "triptych.predictors.mlp:Mlp",
        "ridge": "triptych.predictors.ridge:Ridge",
        "knn": "triptych.predictors.knn:Knn",
        "mean": "triptych.predictors.mean:Mean",
        "graph-transformer": "triptych.predictors.graph_transformer:GraphTransformer",
        "graph-transformer-pixels": "triptych.predictors.graph_transformer_pixels:GraphTransformerPixels",
    },
)
