"""Image encoders whose model timm builds: what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from triptych.core.extras import need
from triptych.encoders import weights as store
from triptych.encoders.images.published_model import PublishedModel

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TimmModel(PublishedModel):
    """A model of timm with published weights; a subclass says which.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    weights
        A file, a folder, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    extra: ClassVar[tuple[str, str]] = ("timm", "images")

    def build(self) -> nn.Module:
        """The model without its classifier."""
        raise NotImplementedError

    def filled(self) -> nn.Module:
        """The model with its weights.

        Raises
        ------
        WeightsError
            When the weights cannot be had, are damaged or do not fit.
        MissingExtraError
            When timm is not installed.
        """
        import torch

        need("timm", "images")  # first, as what it makes when imported must not be made on "meta"
        (path,) = self.paths()
        with torch.device("meta"):  # takes no memory, no time and no random numbers
            model = self.build()
        store.fill(model, store.read(path), path, beside=self.beside)
        return model


def created(architecture: str, **arguments: Any) -> nn.Module:
    """A model of timm without its classifier.

    Raises
    ------
    MissingExtraError
        When timm is not installed.
    """
    model: nn.Module = need("timm", "images").create_model(architecture, num_classes=0, **arguments)
    return model
