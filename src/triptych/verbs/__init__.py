"""One function for each verb: a component on a table, with its result written into it."""

from __future__ import annotations

from triptych.verbs.judging import analyse, score
from triptych.verbs.labels import cluster, refine
from triptych.verbs.nuclei import annotate, register, segment
from triptych.verbs.types import deconvolve, predict
from triptych.verbs.views import align, encode, fuse

__all__ = [
    "align", "analyse", "annotate", "cluster", "deconvolve", "encode", "fuse", "predict", "refine",
    "register", "score", "segment",
]  # fmt: skip
