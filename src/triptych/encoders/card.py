"""Cards: what a user should know about published weights before using them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Colours: TypeAlias = tuple[float, float, float]  # red, green, blue


@dataclass(frozen=True)
class Card:
    """Facts about weights, kept beside the encoder that reads them.

    Parameters
    ----------
    name
        The encoder's registered name.
    dimension
        d, numbers per observation.
    source
        Where the weights come from: a repository of the Hugging Face hub, ``owner/name``, or an address.
    licence
        Its SPDX name where there is one.
    gated
        Whether the source hands them out only to those who asked.
    cite
        DOI of the paper; the address of the release where there is none.
    input_px
        Side of the windows that the model was trained on; 0 for a model that takes no pixels.
    mpp
        Micrometres per pixel that it was trained at; None where that is not stated, or has no meaning.
    mean
        Subtracted from colours in 0 … 1.
    std
        What the colours are then divided by.
    """

    name: str
    dimension: int
    source: str
    licence: str
    gated: bool
    cite: str
    input_px: int = 0
    mpp: float | None = None
    mean: Colours = (0.0, 0.0, 0.0)
    std: Colours = (1.0, 1.0, 1.0)

    @property
    def on_hub(self) -> bool:
        """Whether the source is a repository of the hub, rather than an address."""
        return "://" not in self.source
