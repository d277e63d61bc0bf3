"""Training networks that tell nuclei by horizontal and vertical maps, whatever their architecture.

A network maps pictures (b, 3, h, w) in 0 … 1 to maps (b, 3 + 1 + c, h, w): the logit of a nucleus, its
horizontal and vertical map, and the logits of background and of c classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from triptych.core.errors import DataError, NumericsError
from triptych.core.nuclei import UNKNOWN, Tiles, TileSource
from triptych.core.progress import track
from triptych.maths.hv import hv_targets
from triptych.maths.threads import one_thread
from triptych.nets.hv_augmentation import placed, stained
from triptych.nets.hv_losses import Targets, loss_terms, total
from triptych.nets.hv_sampling import Balance


@dataclass(frozen=True)
class HvTraining:
    """How to train.

    Parameters
    ----------
    steps
        Batches to learn from.
    batch
        Tiles in each.
    crop_px
        Side of what is seen of a tile.
    learning_rate
        Of AdamW at its highest: it rises for ``warm_up`` steps and falls to 0 by a cosine.
    weight_decay
        Of AdamW.
    warm_up
        Steps.
    clip
        Largest norm of a gradient.
    stain_jitter
        How much the amounts of stain vary, see `triptych.nets.hv_augmentation.stained`.
    scale_jitter
        How much pictures are enlarged or reduced, see `triptych.nets.hv_augmentation.placed`.
    balance
        β of `triptych.nets.hv_sampling`.
    """

    steps: int
    batch: int = 8
    crop_px: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: int = 50
    clip: float = 5.0
    stain_jitter: float = 1.0
    scale_jitter: float = 0.0
    balance: float = 0.5

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / max(self.warm_up, 1))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def trained(net: nn.Module, tiles: TileSource, settings: HvTraining, rng: np.random.Generator) -> list[float]:
    """Train a network where it lies, in one thread, and leave it ready to predict.

    The same seed gives the same bits on the same machine. On another they may differ: where the processor
    multiplies numbers of 16 bits (bfloat16), the layers do, and others do not.

    Parameters
    ----------
    net
        Changed in place; must draw nothing by itself. Its parameters that want no gradient stay as they are.
    tiles
        To learn from.
    settings
        How.
    rng
        Draws tiles, places, views and stains.

    Returns
    -------
    The loss of each step.

    Raises
    ------
    DataError
        When there are no tiles, or they are smaller than ``crop_px``.
    NumericsError
        When a loss is not finite.
    """
    check_tiles(tiles, settings.crop_px)
    device = next(net.parameters()).device
    learned = [weight for weight in net.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(
        learned, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    history: list[float] = []
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload,unused-ignore]
    with one_thread():
        balance = Balance.of(tiles, settings.balance)
        weights = torch.from_numpy(balance.classes).float().to(device)
        seen = batches(tiles, balance, settings, rng)
        for step in track(range(settings.steps), "training of nuclei", settings.steps):
            pixels, targets = next(seen)
            with short(device):
                maps = net(pixels.to(device, memory_format=torch.channels_last))
            loss = total(loss_terms(maps.float(), _moved(targets, device), weights))
            _step(optimiser, loss, settings, step)
            history.append(float(loss.detach()))
            _check(history[-1], step, settings)
    net.eval()
    return history


def check_tiles(tiles: TileSource, crop_px: int) -> None:
    """Refuse tiles from which crops cannot be cut.

    Raises
    ------
    DataError
        When there are none, or they are too small.
    """
    if not len(tiles):
        raise DataError("There are no labelled tiles.", "Segment sections that have outlines of nuclei.")
    if tiles.tile_px < crop_px:
        raise DataError(
            f"The labelled tiles have sides of {tiles.tile_px} px, and crop_px is {crop_px}.",
            f"Set crop_px to {tiles.tile_px} or less, or make larger tiles.",
        )


def batches(
    tiles: TileSource, balance: Balance, settings: HvTraining, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Targets]]:
    """Pictures (b, 3, crop_px, crop_px) in 0 … 1 and what is known of them, without end."""
    for rows in balance.batches(settings.batch, rng):
        some = placed(tiles.take(rows), settings.crop_px, settings.scale_jitter, rng)
        pixels = torch.from_numpy(some.image).permute(0, 3, 1, 2).float() / 255
        yield stained(pixels, settings.stain_jitter, rng), targets_of(some)


def targets_of(tiles: Tiles) -> Targets:
    """What labelled tiles say of each pixel."""
    count, height, width = tiles.instances.shape
    apart = np.arange(count)[:, None, None] * (int(tiles.instances.max(initial=0)) + 1)
    numbers = np.where(tiles.instances > 0, tiles.instances + apart, 0).astype(np.int32)
    # one tile below the other, for one call: numbers are of their own in each
    hv = hv_targets(numbers.reshape(count * height, width)).reshape(2, count, height, width)
    known = ~tiles.ignore
    return Targets(
        nucleus=torch.from_numpy(tiles.instances > 0),
        hv=torch.from_numpy(hv.transpose(1, 0, 2, 3)),
        types=torch.from_numpy(tiles.types.astype(np.int64)),
        known=torch.from_numpy(known),
        typed=torch.from_numpy(known & (tiles.types != UNKNOWN)),
    )


def short(device: torch.device) -> AbstractContextManager[object]:
    """Numbers of 16 bits (bfloat16) in the layers that bear them, where the machine multiplies those."""
    able = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if device.type == "cpu" and not (able and able()):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _moved(targets: Targets, device: torch.device) -> Targets:
    parts = (targets.nucleus, targets.hv, targets.types, targets.known, targets.typed)
    return Targets(*(part.to(device) for part in parts))


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, settings: HvTraining, step: int) -> None:
    """Go one step down."""
    for group in optimiser.param_groups:
        group["lr"] = settings.rate(step)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
    nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], settings.clip)
    optimiser.step()


def _check(loss: float, step: int, settings: HvTraining) -> None:
    if not math.isfinite(loss):
        raise NumericsError(
            f"The loss of nuclei is {loss} in step {step + 1} of {settings.steps}.",
            "Lower the learning rate, and look at the labels.",
        )
