"""Deconvolvers: counts of mixtures → how much of each cell type is in them. What they give is an estimate."""

from __future__ import annotations

from typing import Final

from triptych.core.abundance import Deconvolver
from triptych.core.registry import Registry

registry: Final = Registry(
    "deconvolvers",
    (Deconvolver,),
    {
        "cell2location": "triptych.deconvolvers.cell2location:Cell2location",
        "nnls": "triptych.deconvolvers.nnls:Nnls",
        "precomputed": "triptych.deconvolvers.precomputed:Precomputed",
    },
)
