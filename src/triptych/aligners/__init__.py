"""Aligners: (n, d) and batch codes → (n, d) without the nuisance of the batch."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import Aligner
from triptych.core.registry import Registry

registry: Final = Registry(
    "aligners",
    (Aligner,),
    {
        "none": "triptych.aligners.none:Unaligned",
        "center": "triptych.aligners.center:Center",
        "combat": "triptych.aligners.combat:Combat",
        "harmony": "triptych.aligners.harmony:Harmony",
        "scanorama": "triptych.aligners.scanorama:Scanorama",
        "scvi": "triptych.aligners.scvi:Scvi",
    },
)
