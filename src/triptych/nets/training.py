"""The one training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from triptych.core.errors import NumericsError
from triptych.core.progress import track

Step = Callable[[Tensor], Tensor]  # row numbers of a batch → its loss


def train(
    optimiser: torch.optim.Optimizer,
    step: Step,
    n: int,
    *,
    epochs: int,
    batch: int,
    generator: torch.Generator,
    label: str = "training",
) -> list[float]:
    """Minimise the loss that ``step`` returns.

    Parameters
    ----------
    optimiser
        Already holds the parameters.
    step
        Takes the row numbers of a batch, shape (b,), and returns a scalar loss.
    n
        Number of observations.
    epochs
        Passes over them.
    batch
        Largest number of observations in a batch; the batches of an epoch are of equal size up to one.
    generator
        Draws the order of the observations; its device is where the row numbers live.
    label
        Told to whoever listens to progress.

    Returns
    -------
        Mean loss of each epoch.

    Raises
    ------
    NumericsError
        When the loss is not finite.
    """
    history: list[float] = []
    for epoch in track(range(epochs), label, epochs):
        total = torch.zeros((), device=generator.device)
        for rows in batches(n, batch, generator):
            loss = step(rows)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
            optimiser.step()
            total += loss.detach() * len(rows) / n
        history.append(float(total))
        if not torch.isfinite(total):
            raise NumericsError(
                f"The loss of {label} is {history[-1]} in epoch {epoch + 1} of {epochs}.",
                "Lower the learning rate, and look for extreme values in the views.",
            )
    return history


def batches(n: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers in random order, cut into equal parts; a single part keeps its order."""
    count = max(1, -(-n // batch))
    if count == 1:
        yield torch.arange(n, device=generator.device)
        return
    yield from torch.randperm(n, generator=generator, device=generator.device).tensor_split(count)
