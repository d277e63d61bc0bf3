"""Encoders: counts, places or windows of pixels → one vector per observation."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import GeneEncoder, ImageEncoder, PlaceEncoder
from triptych.core.registry import Registry

registry: Final = Registry(
    "encoders",
    (GeneEncoder, PlaceEncoder, ImageEncoder),
    {
        "pca": "triptych.encoders.genes.pca:Pca",
        "raw": "triptych.encoders.genes.raw:Raw",
        "log-normalised": "triptych.encoders.genes.log_normalised:LogNormalised",
        "cancer-foundation": "triptych.encoders.genes.cancer_foundation:CancerFoundation",
        "geneformer": "triptych.encoders.genes.geneformer:Geneformer",
        "lookup": "triptych.encoders.places.lookup:Lookup",
        "sinusoidal": "triptych.encoders.places.sinusoidal:Sinusoidal",
        "stain-texture": "triptych.encoders.images.stain_texture:StainTexture",
        "inception-v3": "triptych.encoders.images.inception_v3:InceptionV3",
        "dinov2": "triptych.encoders.images.dinov2:Dinov2",
        "dinov2-reg": "triptych.encoders.images.dinov2_reg:Dinov2Reg",
        "uni2-h": "triptych.encoders.images.uni2_h:UNI2h",
    },
)
