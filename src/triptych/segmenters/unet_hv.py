"""A U-Net that tells nuclei by their horizontal and vertical maps, trained from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np

from triptych.core.models import Fit
from triptych.core.nuclei import TileSource
from triptych.core.randomness import torch_generator
from triptych.core.settings import device
from triptych.nets.hv_model import PLAIN, HvModel, to_arrays
from triptych.segmenters.door import check_tiles

if TYPE_CHECKING:
    from triptych.nets.hv_training import HvTraining

NAME: Final = "unet-hv"
WARM_UP: Final = 50  # steps at most in which the learning rate rises


@dataclass(frozen=True)
class UnetHv:
    """The maps and losses of HoVer-Net from a small U-Net, to be trained on one core in minutes.

    Nuclei of tiles are learned where something is known of them: pixels to be ignored take part in nothing,
    nuclei of unknown type in nothing about types.

    Parameters
    ----------
    width
        Channels of the first floor of the U-Net; each floor below has twice as many.
    depth
        Its floors.
    steps
        Batches to learn from.
    batch
        Tiles in each.
    crop_px
        Side of what is seen of a tile, a multiple of 2^depth.
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
    """

    width: int = 32
    depth: int = 4
    steps: int = 1000
    batch: int = 8
    crop_px: int = 256
    learning_rate: float = 2e-3
    stain_jitter: float = 1.0
    scale_jitter: float = 0.0
    balance: float = 0.5
    threshold: float = 0.5
    least_um2: float = 2.0
    views: int = 1
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = (
        "Graham et al. 2019, 10.1016/j.media.2019.101563 (HoVer-Net); "
        "Ronneberger et al. 2015, 10.1007/978-3-319-24574-4_28 (U-Net)"
    )
    takes: ClassVar[Literal["tiles"]] = "tiles"

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.steps, self.batch) < 1:
            raise ValueError("width, depth, steps and batch must be at least 1")
        if self.depth > 7:
            raise ValueError(f"depth must be at most 7, got {self.depth}")
        if self.crop_px < 1 or self.crop_px % 2**self.depth:
            raise ValueError(f"crop_px must be a multiple of 2^depth = {2**self.depth}, got {self.crop_px}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must be between 0 and 1, got {self.learning_rate}")
        if not (0 <= self.stain_jitter <= 4 and 0 <= self.scale_jitter <= 1):
            raise ValueError("stain_jitter must be from 0 to 4, and scale_jitter from 0 to 1")
        if not (0 <= self.balance <= 1 and 0 < self.threshold < 1):
            raise ValueError("balance must be from 0 to 1, and threshold between 0 and 1")
        if not 0 <= self.least_um2 < np.inf:
            raise ValueError(f"least_um2 must be at least 0, got {self.least_um2}")
        if self.views not in PLAIN:
            raise ValueError(f"views must be one of {PLAIN}, got {self.views}")

    def fit(self, tiles: TileSource, rng: np.random.Generator) -> Fit[None, HvModel]:
        """Learn from labelled tiles.

        Parameters
        ----------
        tiles
            Of sides no less than ``crop_px``.
        rng
            Draws weights, tiles, places, views and stains.

        Raises
        ------
        DataError
            When there are no tiles, or they are too small or without a scale.
        NumericsError
            When a loss is not finite.
        """
        from triptych.nets.hv_training import trained
        from triptych.nets.unet_hv import halo_px, multiple_px, started

        check_tiles(NAME, tiles)
        shape = {"width": self.width, "depth": self.depth}
        net = started(len(tiles.classes), torch_generator(rng), **shape).to(device())
        losses = trained(net, tiles, self.training(), rng)
        model = HvModel(
            to_arrays(net), NAME, shape, tuple(tiles.classes), tiles.mpp,
            halo_px=halo_px(self.depth), multiple_px=multiple_px(self.depth),
            threshold=self.threshold, least_px=round(self.least_um2 / tiles.mpp**2),
            views=self.views, losses=np.array(losses),
        )  # fmt: skip
        return Fit(None, model)

    def training(self) -> HvTraining:
        """How the network is trained."""
        from triptych.nets.hv_training import HvTraining

        return HvTraining(
            steps=self.steps,
            batch=self.batch,
            crop_px=self.crop_px,
            learning_rate=self.learning_rate,
            warm_up=min(WARM_UP, self.steps // 10),
            stain_jitter=self.stain_jitter,
            scale_jitter=self.scale_jitter,
            balance=self.balance,
        )

    def restore(self, folder: Path) -> HvModel:
        """Read a model that was saved."""
        return HvModel.load(folder)
