"""Stain normalisers: pixels of a section → pixels with the colours of a fixed reference."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import Normaliser
from triptych.core.registry import Registry

registry: Final = Registry(
    "stains",
    (Normaliser,),
    {
        "macenko": "triptych.stains.macenko:Macenko",
        "reinhard": "triptych.stains.reinhard:Reinhard",
    },
)
