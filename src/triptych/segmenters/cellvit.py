"""CellViT on any vision transformer of timm, by cellseg-models-pytorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triptych.segmenters.hovernet import Hovernet

if TYPE_CHECKING:
    from triptych.nets.cellseg_encoder import Family


@dataclass(frozen=True)
class Cellvit(Hovernet):
    """Three decoders of a U-Net over four blocks of a vision transformer (Hörst et al. 2024).

    Parameters
    ----------
    encoder
        Name in timm: SAM's ``samvit_base_patch16``, or another, e.g. ``vit_large_patch16_224``, which is
        UNI's.
    encoder_settings
        Arguments with which timm builds it, e.g. ``init_values: 1.0e-5`` for the weights of UNI.
    weights
        Of the encoder: a file, a folder, ``hub``, or ``none`` to begin at random.
    frozen
        Whether the encoder is not trained.
    mean
        Of the colours in 0 … 1 on which the weights were trained; empty takes what timm knows of weights of
        that name, which need not be those of a file: UNI's are 0.485, 0.456, 0.406.
    std
        The same, their deviation; UNI's is 0.229, 0.224, 0.225.
    widths
        Of the four stages of a decoder, the deepest first.
    steps
        Batches to learn from.
    batch
        Tiles in each.
    crop_px
        Side of what is seen of a tile, a multiple of the transformer's patches.
    learning_rate
        Of AdamW at its highest.
    stain_jitter
        How much the amounts of haematoxylin, eosin and the rest vary from tile to tile: 1 is up to a quarter.
    scale_jitter
        How much tiles are enlarged or reduced, as a share.
    balance
        Between organs and between classes: 0 takes the tiles as they come, 1 makes all count the same.
    threshold
        Probability above which a pixel is in a nucleus.
    least_um2
        Area of the smallest nucleus.
    views
        In how many of its eight views a picture is looked at, each as slow as the first: 1, 2, 4 or 8.

    Notes
    -----
    The decoders see the blocks at a quarter, a half, three quarters and the end of the transformer, as in
    the paper; the library by itself takes the first four. Positions learned at another size are
    interpolated. A token may look at the whole picture, so what is found near the border of a window may
    depend on its size. What else differs from the paper: as for ``hovernet``.
    """

    encoder: str = "samvit_base_patch16"
    widths: tuple[int, ...] = (512, 256, 128, 64)
    learning_rate: float = 1e-4

    cite: ClassVar[str] = "10.1016/j.media.2024.103143"
    family: ClassVar[Family] = "cellvit"
    dense: ClassVar[int] = 0
