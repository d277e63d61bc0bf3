"""Readers: a path, or the word toy, toy-cells or toy-crops → one table with a row per spot, cell or patch."""

from __future__ import annotations

from typing import Final

from triptych.core.registry import Registry
from triptych.readers.layouts import Reader

registry: Final = Registry(
    "readers",
    (Reader,),
    {
        "cosmx": "triptych.readers.cosmx:Cosmx",
        "h5ad": "triptych.readers.h5ad:H5ad",
        "hest": "triptych.readers.hest:Hest",
        "manifest": "triptych.readers.manifest:Manifest",
        "merscope": "triptych.readers.merscope:Merscope",
        "nuclei": "triptych.readers.nuclei:NucleiFolder",
        "slide": "triptych.readers.slide:Slide",
        "spatial-transcriptomics": "triptych.readers.spatial_transcriptomics:SpatialTranscriptomics",
        "tables": "triptych.readers.tables:Tables",
        "toy": "triptych.readers.toy.reader:Toy",
        "toy-cells": "triptych.readers.toy.cells_reader:ToyCells",
        "toy-crops": "triptych.readers.toy.crops_reader:ToyCrops",
        "visium": "triptych.readers.visium:Visium",
        "xenium": "triptych.readers.xenium:Xenium",
        "zarr": "triptych.readers.spatial_data:SpatialDataStore",
    },
)
