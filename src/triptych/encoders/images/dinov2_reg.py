"""DINOv2 with registers: four more tokens that take up what patches were misused for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from triptych.encoders.card import Card
from triptych.encoders.images.dinov2 import Dinov2


@dataclass(frozen=True)
class Dinov2Reg(Dinov2):
    """State of the class token of DINOv2 trained with four registers (Darcet et al. 2023).

    Without registers, patches of plain background come to hold facts about the whole image; the class
    token gains little from them, the mean over patches much.

    Parameters
    ----------
    window_um
        Side of the tissue seen; at 112 µm a pixel is 0.5 µm, as for encoders trained on histology.
    weights
        A folder with ``model.safetensors`` (or ``pytorch_model.bin``) and ``config.json``, the file of
        weights in it, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    size
        Which of the four models, of 384, 768, 1 024 and 1 536 numbers.
    pooling
        The class token alone, or followed by the mean of the states of the patches, registers left out.

    Notes
    -----
    Input, positions and what was verified: as for ``dinov2``.
    """

    cite: ClassVar[str] = "10.48550/arXiv.2309.16588"
    family: ClassVar[str] = "dinov2_with_registers"
    kind: ClassVar[str] = "Dinov2WithRegisters"
    repository: ClassVar[str] = "facebook/dinov2-with-registers-"
    registers: ClassVar[int] = 4
    card: ClassVar[Card] = replace(
        Dinov2.card, name="dinov2-reg", source="facebook/dinov2-with-registers-base", cite=cite
    )
