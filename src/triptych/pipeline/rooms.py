"""Which room answers to which verb."""

from __future__ import annotations

from typing import Final

from triptych import (
    aligners,
    analyses,
    annotators,
    clusterers,
    deconvolvers,
    encoders,
    fusers,
    metrics,
    predictors,
    readers,
    refiners,
    registrars,
    segmenters,
    stains,
)
from triptych.core.registry import Registry

BY_VERB: Final[dict[str, Registry]] = {
    "encode": encoders.registry,
    "align": aligners.registry,
    "fuse": fusers.registry,
    "cluster": clusterers.registry,
    "refine": refiners.registry,
    "deconvolve": deconvolvers.registry,
    "predict": predictors.registry,
    "register": registrars.registry,
    "annotate": annotators.registry,
    "segment": segmenters.registry,
    "score": metrics.registry,
    "analyse": analyses.registry,
}
BY_NAME: Final[dict[str, Registry]] = {
    registry.room: registry for registry in (readers.registry, stains.registry, *BY_VERB.values())
}
