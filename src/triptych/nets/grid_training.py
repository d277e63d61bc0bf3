"""Fitting the auto-encoder of windows, and embedding with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triptych.core.progress import track
from triptych.nets.grid import Decoder, Encoder, GridShape, Statistics
from triptych.nets.training import train
from triptych.nets.triplets import draw_triplets, triplet_loss

GRAM_LIMIT = 1500  # largest k²·d of which a covariance matrix is kept
PATCH_BYTES = 2**28  # of patches in a batch of an embedding or of the last statistics


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows as row numbers into a pile of features.

    Parameters
    ----------
    pile
        Features of the n observations and below them what fills their gaps, shape (2n, d).
    index
        Rows of the pile, shape (n, w²).
    """

    pile: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: Tensor) -> Tensor:
        """Windows of these observations, shape (b, w², d)."""
        index = self.index.index_select(0, rows)
        return self.pile.index_select(0, index.view(-1)).view(*index.shape, -1)


@dataclass(frozen=True, eq=False)
class View:
    """One view's part in the loss.

    Parameters
    ----------
    columns
        How many of the channels are its own.
    weight
        Its weight.
    labels
        Cluster of each observation, shape (n,).
    clusters
        Their number; one gives no triplets.
    """

    columns: int
    weight: float
    labels: Tensor
    clusters: int


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    epochs, batch, lr, weight_decay
        Of Adam with AMSGrad.
    dropout
        Probability of dropping a channel.
    margin
        Of the triplet loss.
    triplet, reconstruction
        Weights of the two losses.
    """

    epochs: int
    batch: int
    lr: float
    weight_decay: float
    dropout: float
    margin: float
    triplet: float
    reconstruction: float


def fit_encoder(
    windows: Windows, views: list[View], shape: GridShape, settings: Settings, generator: torch.Generator
) -> tuple[Encoder, Statistics, list[float]]:
    """Train encoder and decoder; keep the encoder.

    The loss is Σ_m weight_m·(reconstruction·L1_m + triplet·T_m), summed over the views m. When the study
    fits in one batch, its windows are gathered and their covariance is taken once.

    Returns
    -------
        The encoder, the mean and variance of its channels over all windows, and the loss by epoch.
    """
    encoder, decoder = Encoder(shape, generator), Decoder(shape, generator)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(
        parameters, settings.lr, weight_decay=settings.weight_decay, amsgrad=True, fused=True
    )
    fraction = torch.cat(
        [torch.full((view.columns,), view.weight / view.columns, device=generator.device) for view in views]
    )
    whole = _Whole.of(windows, encoder) if len(windows) <= settings.batch else None

    def step(rows: Tensor) -> Tensor:
        target = whole.windows if whole else windows.take(rows)
        patches = whole.patches if whole else encoder.patches(target)
        statistics = whole.statistics(encoder) if whole else None
        z = encoder(patches, statistics, dropout=settings.dropout, generator=generator)
        loss = z.new_zeros(())
        if settings.reconstruction > 0:
            guess = torch.sigmoid(decoder(z, dropout=settings.dropout, generator=generator))
            error = (guess - target.flatten(1)).abs().view(-1, len(fraction)).mean(0)
            loss = loss + settings.reconstruction * (error * fraction).sum()
        for view in views:
            if settings.triplet * view.weight > 0 and view.clusters > 1:
                triplets = draw_triplets(view.labels[rows], view.clusters, generator)
                loss = loss + settings.triplet * view.weight * triplet_loss(z, triplets, settings.margin)
        return loss

    history = train(
        optimiser, step, len(windows), epochs=settings.epochs, batch=settings.batch, generator=generator,
        label="grid-triplet",
    )  # fmt: skip
    encoder.requires_grad_(requires_grad=False)
    return encoder, population_statistics(encoder, windows), history


@dataclass(frozen=True, eq=False)
class _Whole:
    """A study that fits in one batch: what does not change from step to step."""

    windows: Tensor
    patches: Tensor
    moments: tuple[Tensor, Tensor] | None

    @classmethod
    def of(cls, windows: Windows, encoder: Encoder) -> _Whole:
        gathered = windows.take(torch.arange(len(windows), device=windows.index.device))
        patches = encoder.patches(gathered)
        if patches.shape[1] > GRAM_LIMIT:
            return cls(gathered, patches, None)
        mean = patches.mean(0)
        spread = patches - mean
        return cls(gathered, patches, (mean, spread.T @ spread / len(patches)))

    def statistics(self, encoder: Encoder) -> Statistics | None:
        return encoder.statistics(*self.moments) if self.moments else None


@torch.no_grad()
def population_statistics(encoder: Encoder, windows: Windows) -> Statistics:
    """Mean and variance of the encoder's channels over all windows, with its final weights.

    Nothing random precedes the first normalisation, so these are exact, where a running average over the
    training steps would lag behind the weights.
    """
    total = torch.zeros(encoder.kernel.shape[1], dtype=torch.float64, device=encoder.kernel.device)
    mean, scatter, count = total.clone(), total.clone(), 0
    for rows, _ in _parts(len(windows), _part_size(encoder), windows.index.device):
        y = encoder.patches(windows.take(rows)) @ encoder.kernel
        variance, here = (part.double() for part in torch.var_mean(y, 0, correction=0))
        gap, joint = here - mean, count + len(y)
        scatter += variance * len(y) + gap.square() * count * len(y) / joint
        mean += gap * len(y) / joint
        count = joint
    return mean.float(), (scatter / count).float()


@torch.no_grad()
def embed(
    encoder: Encoder,
    statistics: Statistics,
    windows: Windows,
    *,
    passes: int = 0,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> NDArray[np.float32]:
    """Codes of all windows.

    Every product has the same shape, the last batch being padded, so that the code of a window does not
    depend on how many others there are.

    Parameters
    ----------
    encoder, statistics
        From `fit_encoder`.
    windows
        Of n observations.
    passes
        With 0, one pass without dropout; else the mean of that many passes with it.
    dropout
        Probability of dropping a channel.
    generator
        Draws the channels to drop.

    Returns
    -------
        Shape (n, latent).
    """
    size = _part_size(encoder)
    codes = np.empty((len(windows), encoder.shape.latent), dtype=np.float32)
    parts = list(_parts(len(windows), size, windows.index.device))
    for rows, used in track(parts, "embedding", len(parts)):
        padded = torch.cat([rows, rows.new_zeros(size - used)])
        patches = encoder.patches(windows.take(padded))
        if passes == 0:
            z = encoder(patches, statistics)
        else:
            z = sum(
                encoder(patches, statistics, dropout=dropout, generator=generator) for _ in range(passes)
            ) / passes
        codes[rows.cpu().numpy()] = z[:used].cpu().numpy()
    return codes


def _part_size(encoder: Encoder) -> int:
    """Observations in a part: a function of the network alone, so that shapes do not vary with n."""
    shape = encoder.shape
    per_window = 4 * shape.side**2 * (shape.kernel**2 * shape.channels + shape.members * shape.hidden)
    return max(16, min(1024, PATCH_BYTES // per_window))


def _parts(n: int, size: int, device: torch.device) -> Iterator[tuple[Tensor, int]]:
    for start in range(0, n, size):
        rows = torch.arange(start, min(start + size, n), device=device)
        yield rows, len(rows)
