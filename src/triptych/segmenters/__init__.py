"""Segmenters: labelled tiles → a model that finds nuclei in a picture and tells their types."""

from __future__ import annotations

from typing import Final

from triptych.core.nuclei import Segmenter
from triptych.core.registry import Registry

registry: Final = Registry(
    "segmenters",
    (Segmenter,),
    {
        "unet-hv": "triptych.segmenters.unet_hv:UnetHv",
        "hovernet": "triptych.segmenters.hovernet:Hovernet",
        "cellvit": "triptych.segmenters.cellvit:Cellvit",
        "watershed-stain": "triptych.segmenters.watershed_stain:WatershedStain",
    },
)
