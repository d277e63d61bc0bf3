"""Encoders: counts, places, windows of pixels or crops around cells → one vector per observation."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import CropEncoder, GeneEncoder, ImageEncoder, PlaceEncoder
from triptych.core.registry import Registry

registry: Final = Registry(
    "encoders",
    (GeneEncoder, PlaceEncoder, ImageEncoder, CropEncoder),
    {
        "pca": "triptych.encoders.genes.pca:Pca",
        "raw": "triptych.encoders.genes.raw:Raw",
        "log-normalised": "triptych.encoders.genes.log_normalised:LogNormalised",
        "cancer-foundation": "triptych.encoders.genes.cancer_foundation:CancerFoundation",
        "geneformer": "triptych.encoders.genes.geneformer:Geneformer",
        "gene-subset": "triptych.encoders.genes.gene_subset:GeneSubset",
        "marker-subset": "triptych.encoders.genes.marker_subset:MarkerSubset",
        "lookup": "triptych.encoders.places.lookup:Lookup",
        "sinusoidal": "triptych.encoders.places.sinusoidal:Sinusoidal",
        "stain-texture": "triptych.encoders.images.stain_texture:StainTexture",
        "nuclei-counts": "triptych.encoders.images.nuclei_counts:NucleiCounts",
        "mean-rgb": "triptych.encoders.images.mean_rgb:MeanRgb",
        "inception-v3": "triptych.encoders.images.inception_v3:InceptionV3",
        "dinov2": "triptych.encoders.images.dinov2:Dinov2",
        "dinov2-reg": "triptych.encoders.images.dinov2_reg:Dinov2Reg",
        "uni": "triptych.encoders.images.uni:UNI",
        "uni2-h": "triptych.encoders.images.uni2_h:UNI2h",
        "conch": "triptych.encoders.images.conch:Conch",
        "virchow2": "triptych.encoders.images.virchow2:Virchow2",
        "h-optimus-0": "triptych.encoders.images.h_optimus_0:HOptimus0",
        "phikon-v2": "triptych.encoders.images.phikon_v2:PhikonV2",
        "spot-vae": "triptych.encoders.crops.spot_vae:SpotVae",
        "stain-vae": "triptych.encoders.crops.stain_vae:StainVae",
        "dual-vae": "triptych.encoders.crops.dual_vae:DualVae",
        "cellprofiler": "triptych.encoders.crops.cellprofiler:CellProfiler",
    },
)
