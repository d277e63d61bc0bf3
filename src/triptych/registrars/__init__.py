"""Registrars: outlines of nuclei and the picture that they should lie on → where they belong."""

from __future__ import annotations

from typing import Final

from triptych.core.nuclei import Registrar
from triptych.core.registry import Registry

registry: Final = Registry(
    "registrars",
    (Registrar,),
    {
        "stain-correlation": "triptych.registrars.stain_correlation:StainCorrelation",
        "none": "triptych.registrars.none:NoRegistration",
    },
)
