"""Training an ensemble of regressors, each stopped early on observations that it never learns from.

Member m learns from its rows and is measured, after every epoch, on the rows held out from it; the weights of
its best epoch are kept (Lakshminarayanan et al. 2017, 10.48550/arXiv.1612.01474, in whose deep ensembles the
members differ by chance alone; here also by what they saw). Scales of inputs and targets are those of the
member's rows, so that nothing of what is held out reaches it but the epoch at which it stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triptych.core.errors import NumericsError
from triptych.core.progress import track
from triptych.nets.regressor import Regressors, Scale, guesses
from triptych.nets.regressor_losses import loss_terms, total


@dataclass(frozen=True)
class Settings:
    """How to build and train the members.

    Parameters
    ----------
    hidden
        Widths of the layers between the input and the output.
    dropout
        Probability of dropping a value after each activation.
    mae, pearson
        λ₁ and λ₂, weights of these terms of the loss.
    epsilon
        Addend of the correlation's denominator.
    lr, weight_decay
        Of AdamW.
    batch
        Observations per step, at most.
    epochs
        Passes over the observations, at most.
    patience
        Epochs without a better one after which a member stops.
    clip
        Largest size of a standardised input; 0 for no limit.
    """

    hidden: tuple[int, ...]
    dropout: float
    mae: float
    pearson: float
    epsilon: float
    lr: float
    weight_decay: float
    batch: int
    epochs: int
    patience: int
    clip: float = 10.0


class Member(NamedTuple):
    """What one member sees: rows it learns from, and rows held out from it."""

    rows: Tensor
    held: Tensor


@dataclass(frozen=True, eq=False)
class Trained:
    """Members at their best epochs.

    Parameters
    ----------
    network
        All of them.
    inputs, targets
        Their scales.
    epochs
        The best epoch of each, counted from 1, shape (members,).
    losses
        By epoch, means over the members: the terms, ``total``, and ``held out``, the total on rows held out.
    """

    network: Regressors
    inputs: Scale
    targets: Scale
    epochs: NDArray[np.int64]
    losses: dict[str, NDArray[np.float64]]


class _Best:
    """The best weights of each member so far, and how long ago that was."""

    def __init__(self, network: Regressors, patience: int) -> None:
        device = network.weights[0].device
        self.network, self.patience = network, patience
        self.weights = [p.detach().clone() for p in network.parameters()]
        self.loss = torch.full((network.members,), torch.inf, device=device)
        self.epoch = torch.zeros(network.members, dtype=torch.int64, device=device)

    @torch.no_grad()
    def note(self, epoch: int, loss: Tensor) -> bool:
        """Keep the weights of members that got better; say whether every member has stopped.

        A member that stopped is trained on beside the others, and no longer looked at.
        """
        better = (loss < self.loss) & (epoch - self.epoch <= self.patience)
        self.loss = torch.where(better, loss, self.loss)
        self.epoch = torch.where(better, epoch, self.epoch)
        for best, now in zip(self.weights, self.network.parameters(), strict=True):
            best[better] = now[better]
        return bool((epoch - self.epoch >= self.patience).all())

    @torch.no_grad()
    def restore(self) -> None:
        """Give the network its members' best weights."""
        for best, now in zip(self.weights, self.network.parameters(), strict=True):
            now.copy_(best)


def fit_regressors(
    x: Tensor,
    y: Tensor,
    members: Sequence[Member],
    settings: Settings,
    generator: torch.Generator,
    *,
    label: str = "regressors",
) -> Trained:
    """Train all members, side by side.

    Parameters
    ----------
    x, y
        Inputs and targets of all observations, shape (n, d) and (n, t), on the generator's device.
    members
        What each sees.
    settings
        How.
    generator
        Draws weights, batches and dropout.
    label
        Told to whoever listens to progress.

    Returns
    -------
        The members at their best epochs.

    Raises
    ------
    NumericsError
        When a loss is not finite.
    """
    seen = [member.rows for member in members]
    inputs, targets = Scale.of(x, seen, settings.clip), Scale.of(y, seen)
    network = Regressors(len(members), (x.shape[1], *settings.hidden, y.shape[1]), generator)
    trained = Trained(network, inputs, targets, np.zeros(len(members), np.int64), {})
    best, history = _Best(network, settings.patience), list[dict[str, float]]()
    epochs = _epochs(trained, (x, y), seen, settings, generator)
    for epoch in track(range(1, settings.epochs + 1), label, settings.epochs):
        terms, held = next(epochs), held_out(trained, x, y, members, settings)
        history.append({name: float(value.mean()) for name, value in (terms | {"held out": held}).items()})
        if not np.isfinite(list(history[-1].values())).all():
            raise NumericsError(
                f"The loss of {label} is not finite in epoch {epoch} of {settings.epochs}.",
                "Lower the learning rate, and look for extreme values in the views.",
            )
        if best.note(epoch, held):
            break
    best.restore()
    network.requires_grad_(requires_grad=False)
    losses = {name: np.array([one[name] for one in history]) for name in history[0]}
    return replace(trained, epochs=best.epoch.cpu().numpy(), losses=losses)


def endless(rows: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of exactly so many rows, without end; every row comes once before any comes again.

    Members of unequal numbers of rows thereby take equal steps, as one batch of products demands.
    """
    left = rows[:0]
    while True:
        while len(left) < size:
            order = torch.randperm(len(rows), generator=generator, device=rows.device)
            left = torch.cat([left, rows[order]])
        yield left[:size]
        left = left[size:]


def _epochs(
    trained: Trained,
    data: tuple[Tensor, Tensor],
    seen: Sequence[Tensor],
    settings: Settings,
    generator: torch.Generator,
) -> Iterator[dict[str, Tensor]]:
    """Train for an epoch each time the next is asked for: the mean terms, each of shape (members,)."""
    optimiser = torch.optim.AdamW(
        trained.network.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True
    )
    sizes = [len(some) for some in seen]
    size = min(settings.batch, *sizes)
    steps = -(-max(sizes) // size)
    streams = [endless(some, size, generator) for some in seen]
    while True:
        sums: dict[str, Tensor] = {}
        for _ in range(steps):
            rows = torch.stack([next(stream) for stream in streams])
            x, y = (part[rows] for part in data)
            guess = trained.network(trained.inputs.apply(x), dropout=settings.dropout, generator=generator)
            terms = loss_terms(guess, trained.targets.apply(y), settings.epsilon)
            terms["total"] = total(terms, settings.mae, settings.pearson)
            optimiser.zero_grad(set_to_none=True)
            terms["total"].sum().backward()  # type: ignore[no-untyped-call,unused-ignore]
            optimiser.step()
            sums = {name: value.detach() + sums.get(name, 0) for name, value in terms.items()}
        yield {name: value / steps for name, value in sums.items()}


def held_out(trained: Trained, x: Tensor, y: Tensor, members: Sequence[Member], settings: Settings) -> Tensor:
    """Total loss of each member on the rows held out from it, shape (members,)."""
    most = max(len(member.held) for member in members)
    rows = torch.stack([member.held.repeat(-(-most // len(member.held)))[:most] for member in members])
    guess, losses = guesses(trained.network, trained.inputs, x, rows), []
    for at, member in enumerate(members):
        truth = trained.targets.member(at).apply(y[member.held][None])
        terms = loss_terms(guess[at : at + 1, : len(member.held)], truth, settings.epsilon)
        losses.append(total(terms, settings.mae, settings.pearson))
    return torch.cat(losses)
