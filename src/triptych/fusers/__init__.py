"""Fusers: the views of each observation, and its place → one vector."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import Fuser
from triptych.core.registry import Registry

registry: Final = Registry(
    "fusers",
    (Fuser,),
    {
        "concat": "triptych.fusers.concat:Concat",
        "autoencoder": "triptych.fusers.autoencoder:Autoencoder",
        "sdae": "triptych.fusers.sdae:Sdae",
        "pca": "triptych.fusers.pca:Pca",
        "umap": "triptych.fusers.umap:Umap",
        "select": "triptych.fusers.select:Select",
        "shuffled": "triptych.fusers.shuffled:Shuffled",
        "smooth": "triptych.fusers.smooth:Smooth",
        "consensus": "triptych.fusers.consensus:Consensus",
        "grid-triplet": "triptych.fusers.grid_triplet:GridTriplet",
        "grid-joint": "triptych.fusers.grid_joint:GridJoint",
    },
)
