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
        "log-normalised": "triptych.encoders.genes.log_normalised:LogNormalised",
        "cancer-foundation": "triptych.encoders.genes.cancer_foundation:CancerFoundation",
        "sinusoidal": "triptych.encoders.places.sinusoidal:Sinusoidal",
        "stain-texture": "triptych.encoders.images.stain_texture:StainTexture",
        "inception-v3": "triptych.encoders.images.inception_v3:InceptionV3",
        "uni2-h": "triptych.encoders.images.uni2_h:UNI2h",
    },
)
