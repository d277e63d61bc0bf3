"""Training graph transformers on compact clumps of spots, and predicting with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from triptych.core.errors import NumericsError
from triptych.core.progress import track
from triptych.core.protocols import Indices
from triptych.nets.graph_transformer import Dropout, GraphTransformer, Near
from triptych.nets.graph_transformer_places import Around
from triptych.nets.training import batches

PART = 512  # spots predicted at once

See: TypeAlias = Callable[[Indices], Tensor]  # rows (m,) → features (m, columns), with their gradient
Watch: TypeAlias = Callable[[int], None]  # epochs done → None


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    epochs
        Over which the learning rate falls.
    batch
        Spots per step, about.
    lr, last_lr
        Learning rate of Adam at the start, and after all epochs; it falls by a cosine.
    decay
        Weight decay, as Adam has it: added to the gradient.
    dropout
        Probability.
    """

    epochs: int
    batch: int
    lr: float
    last_lr: float
    decay: float
    dropout: float


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned, and from what.

    Parameters
    ----------
    see
        Features of spots.
    around
        Neighbourhoods of all n spots.
    target
        Shape (n, t); rows that no clump holds may be anything.
    clumps
        Rows that are learned from, in groups that lie together.
    also
        What learns with the network: the parameters of what sees.
    """

    see: See
    around: Around
    target: Tensor
    clumps: list[Indices]
    also: tuple[nn.Parameter, ...] = ()


def train(
    network: GraphTransformer,
    lesson: Lesson,
    settings: Settings,
    generator: torch.Generator,
    *,
    stop: int,
    watch: Watch | None = None,
    label: str = "graph transformer",
) -> None:
    """Minimise the mean squared error.

    Parameters
    ----------
    network
        Changed in place.
    lesson, settings
        What, and how.
    generator
        Draws the order of the clumps and what is dropped; its device is where the network lies.
    stop
        Epochs to train, at most those of the settings.
    watch
        Told after each epoch how many are done.
    label
        Told to whoever listens to progress.

    Raises
    ------
    NumericsError
        When the loss is not finite.
    """
    optimiser = torch.optim.Adam(
        [*network.parameters(), *lesson.also], settings.lr, weight_decay=settings.decay, fused=True
    )
    rows = sum(len(clump) for clump in lesson.clumps)
    together = max(1, round(settings.batch * len(lesson.clumps) / rows))
    steps = settings.epochs * max(1, -(-len(lesson.clumps) // together))
    done, drop = 0, Dropout(settings.dropout, generator)
    for epoch in track(range(stop), label, stop):
        total = torch.zeros((), device=generator.device)
        for numbers in batches(len(lesson.clumps), together, generator):
            for group in optimiser.param_groups:
                group["lr"] = _rate(settings, done / steps)
            seeds = np.concatenate([lesson.clumps[number] for number in numbers.tolist()])
            loss = _loss(network, lesson, seeds, drop)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
            optimiser.step()
            total += loss.detach() * len(seeds) / rows
            done += 1
        if not torch.isfinite(total):
            raise NumericsError(
                f"The loss of {label} is {float(total)} in epoch {epoch + 1}.",
                "Lower the learning rate, and look for extreme values in the views.",
            )
        if watch is not None:
            watch(epoch + 1)


def _rate(settings: Settings, share: float) -> float:
    """Learning rate when this share of the steps is done."""
    return settings.last_lr + (settings.lr - settings.last_lr) * (1 + math.cos(math.pi * share)) / 2


def _loss(network: GraphTransformer, lesson: Lesson, seeds: Indices, drop: Dropout) -> Tensor:
    nodes, part = lesson.around.of(seeds)
    guess = network(lesson.see(nodes), near(part, drop.generator.device), drop)
    told = lesson.target[torch.from_numpy(seeds).to(lesson.target.device)]
    return mse_loss(guess, told)


def near(around: Around, device: torch.device | str) -> Near:
    """Neighbourhoods as tensors."""
    return Near(*(torch.from_numpy(part).to(device) for part in (around.index, around.um, around.there)))


@torch.no_grad()
def predict(
    network: GraphTransformer, features: Tensor, around: Around, rows: Indices
) -> NDArray[np.float64]:
    """Numbers for some spots.

    Parameters
    ----------
    network
        Trained.
    features
        Of all n spots, shape (n, columns), where the network lies.
    around
        Neighbourhoods of all n spots.
    rows
        Which are predicted, shape (b,).

    Returns
    -------
    Shape (b, t).
    """
    found = [np.empty((0, network.shape.types))]
    for start in range(0, len(rows), PART):
        nodes, part = around.of(rows[start : start + PART])
        seen = features[torch.from_numpy(nodes).to(features.device)]
        found.append(network(seen, near(part, features.device)).double().cpu().numpy())
    return np.concatenate(found)
