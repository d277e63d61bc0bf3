"""HoVer-Net on any encoder of timm, by cellseg-models-pytorch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from triptych.core.errors import RecipeError
from triptych.core.models import Fit
from triptych.core.nuclei import TileSource
from triptych.core.randomness import seed_from
from triptych.core.settings import device
from triptych.nets.hv_model import PLAIN, HvModel, to_arrays
from triptych.segmenters.door import check_tiles

if TYPE_CHECKING:
    from triptych.nets.cellseg_encoder import Encoder, Family
    from triptych.nets.hv_training import HvTraining

HALO: Final = 4  # pixels of the deepest level that windows of a slide have in common on each side
NONE: Final = "none"
DENSE: Final = 64  # of what the width of a stage with dense units must be a multiple


@dataclass(frozen=True)
class Hovernet:
    """Three decoders with dense units, for nuclei, their maps and their types (Graham et al. 2019).

    Parameters
    ----------
    encoder
        Name in timm, e.g. ``resnet50``, ``convnext_tiny``, ``efficientnet_b5``.
    encoder_settings
        Arguments with which timm builds it, e.g. ``init_values: 1.0e-5`` for the weights of UNI.
    weights
        Of the encoder: a file, a folder, ``hub``, or ``none`` to begin at random.
    frozen
        Whether the encoder is not trained.
    mean
        Of the colours in 0 … 1 on which the weights were trained; empty takes what timm knows.
    std
        The same, their deviation.
    widths
        Of the four stages of a decoder, the deepest first; the first two in multiples of 64.
    steps
        Batches to learn from.
    batch
        Tiles in each.
    crop_px
        Side of what is seen of a tile, a multiple of the encoder's coarsest pixel.
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
    It differs from the paper: one logit tells a nucleus, in place of two; targets, losses and what makes
    nuclei of the maps are those of ``unet-hv``. The networks of the library's authors name their modules the
    same; their weights are not read.
    """

    encoder: str = "resnet50"
    encoder_settings: dict[str, Any] = field(default_factory=dict)
    weights: str = "hub"
    frozen: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    widths: tuple[int, ...] = (512, 256, 64, 64)
    steps: int = 5000
    batch: int = 8
    crop_px: int = 256
    learning_rate: float = 3e-4
    stain_jitter: float = 1.0
    scale_jitter: float = 0.2
    balance: float = 0.5
    threshold: float = 0.5
    least_um2: float = 2.0
    views: int = 1

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1016/j.media.2019.101563"
    extra: ClassVar[tuple[str, str]] = ("cellseg_models_pytorch", "nuclei")
    takes: ClassVar[Literal["tiles"]] = "tiles"
    family: ClassVar[Family] = "hovernet"
    dense: ClassVar[int] = 2  # stages with dense units

    def __post_init__(self) -> None:
        if not (self.encoder and self.weights):
            raise ValueError("encoder must be named, and weights a file, a folder, hub or none")
        if self.frozen and self.weights == NONE:
            raise ValueError("frozen needs weights: an encoder at random would stay at random")
        if len(self.widths) != 4 or min(self.widths) < 1:
            raise ValueError(f"widths must be four positive numbers, got {self.widths}")
        if any(width % DENSE for width in self.widths[: self.dense]):
            raise ValueError(f"the first {self.dense} widths must be multiples of {DENSE}, got {self.widths}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, 3) or not all(map(math.isfinite, values)):
                raise ValueError(f"{name} must be three numbers or empty, got {values}")
        if self.std and min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
        self._check_training()

    def _check_training(self) -> None:
        if min(self.steps, self.batch, self.crop_px) < 1:
            raise ValueError("steps, batch and crop_px must be at least 1")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must be between 0 and 1, got {self.learning_rate}")
        if not (0 <= self.stain_jitter <= 4 and 0 <= self.scale_jitter <= 1):
            raise ValueError("stain_jitter must be from 0 to 4, and scale_jitter from 0 to 1")
        if not (0 <= self.balance <= 1 and 0 < self.threshold < 1):
            raise ValueError("balance must be from 0 to 1, and threshold between 0 and 1")
        if not 0 <= self.least_um2 < math.inf:
            raise ValueError(f"least_um2 must be at least 0, got {self.least_um2}")
        if self.views not in PLAIN:
            raise ValueError(f"views must be one of {PLAIN}, got {self.views}")

    def fingerprint(self) -> str:
        """sha256 of the encoder's weights; empty where it begins at random.

        Raises
        ------
        WeightsError
            When they cannot be had.
        RecipeError
            When timm has no such encoder.
        """
        if self.weights == NONE:
            return ""
        from triptych.nets.cellseg_weights import fingerprint, found

        return fingerprint(found(self.weights, self._wanted().published))

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
        RecipeError
            When the encoder cannot be used.
        WeightsError
            When its weights cannot be had, are damaged or do not fit.
        NumericsError
            When a loss is not finite.
        """
        from triptych.nets.cellseg import network
        from triptych.nets.cellseg_weights import fill, found
        from triptych.nets.hv_training import check_tiles as check_sizes
        from triptych.nets.hv_training import trained
        from triptych.nets.seeding import global_torch_seed

        check_tiles(self.family, tiles)
        check_sizes(tiles, self.crop_px)
        encoder = self._wanted()
        path = found(self.weights, encoder.published)
        net = network(
            encoder, self.family, self.widths,
            classes=len(tiles.classes), seed=seed_from(rng), frozen=self.frozen,
        )  # fmt: skip
        if path is not None:
            fill(net.encoder, path, encoder.published.get("classifier"))
        with global_torch_seed(seed_from(rng), device()):  # for encoders told to drop units by chance
            losses = trained(net.to(device()), tiles, self.training(), rng)
        model = HvModel(
            to_arrays(net), "cellseg", self._shape(encoder), tuple(tiles.classes), tiles.mpp,
            halo_px=HALO * encoder.multiple_px, multiple_px=encoder.multiple_px,
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
            stain_jitter=self.stain_jitter,
            scale_jitter=self.scale_jitter,
            balance=self.balance,
        )

    def restore(self, folder: Path) -> HvModel:
        """Read a model that was saved."""
        return HvModel.load(folder)

    def _wanted(self) -> Encoder:
        """The encoder, with the colours asked for."""
        from triptych.nets.cellseg_encoder import encoder_of

        encoder = encoder_of(self.family, self.encoder, self.encoder_settings)
        if self.crop_px % encoder.multiple_px:
            raise RecipeError(
                f"crop_px is {self.crop_px}, which is no multiple of the {encoder.multiple_px} px that "
                f"{self.encoder} looks at together.",
                f"Set crop_px to {max(1, self.crop_px // encoder.multiple_px) * encoder.multiple_px}.",
            )
        return replace(encoder, mean=self.mean or encoder.mean, std=self.std or encoder.std)

    def _shape(self, encoder: Encoder) -> dict[str, Any]:
        """With what `triptych.nets.cellseg.built` makes the network again."""
        return {
            "family": self.family,
            "encoder": encoder.name,
            "settings": dict(encoder.settings),
            "channels": list(self.widths),
        }
