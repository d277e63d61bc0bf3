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
    windows: Windows,
    views: list[View],
    shape: GridShape,
    settings: Settings,
    generator: torch.Generator,
) -> tuple[Encoder, Statistics, list[float]]:
    """Train encoder and decoder; keep the encoder.

    When the study fits in one batch, its windows are gathered and their covariance is taken once.

    Returns
    -------
        The encoder, the mean and variance of its channels over all windows, and the loss by epoch.
    """
    encoder, decoder = Encoder(shape, generator), Decoder(shape, generator)
    optimiser = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()],
        settings.lr,
        weight_decay=settings.weight_decay,
        amsgrad=True,
        fused=True,
    )
    whole = Whole.of(windows, encoder) if len(windows) <= settings.batch else None
    step = _Step(windows, whole, tuple(views), encoder, decoder, settings, generator)
    losses = train(
        optimiser,
        step,
        len(windows),
        epochs=settings.epochs,
        batch=settings.batch,
        generator=generator,
        label="grid-triplet",
    )
    encoder.requires_grad_(requires_grad=False)
    return encoder, population_statistics(encoder, windows), losses


@dataclass(frozen=True, eq=False)
class _Step:
    """The loss of a batch: Σ_m weight_m·(reconstruction·L1_m + triplet·T_m) over the views m."""

    windows: Windows
    whole: Whole | None
    views: tuple[View, ...]
    encoder: Encoder
    decoder: Decoder
    settings: Settings
    generator: torch.Generator

    def __call__(self, rows: Tensor) -> Tensor:
        target, patches, places, statistics = self.inputs(rows)
        chance = {"dropout": self.settings.dropout, "generator": self.generator}
        z = self.encoder(patches, statistics, places=places, **chance)
        loss = self.triplets(z, rows) * self.settings.triplet
        if self.settings.reconstruction > 0:
            guess = torch.sigmoid(self.decoder(z, **chance))
            loss = loss + self.reconstruction(guess, target) * self.settings.reconstruction
        return loss

    def inputs(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Statistics | None]:
        """Windows, patches, their places, and statistics where they are known beforehand."""
        whole = self.whole
        if whole is not None:
            return whole.windows, whole.patches, whole.places, whole.statistics(self.encoder)
        target = self.windows.take(rows)
        return target, self.encoder.patches(target), None, None

    def reconstruction(self, guess: Tensor, target: Tensor) -> Tensor:
        """Weighted sum over views of their mean absolute errors."""
        error = (guess - target.flatten(1)).abs().view(-1, target.shape[2]).mean(0)
        parts = torch.split(error, [view.columns for view in self.views])
        return torch.stack(
            [view.weight * part.mean() for view, part in zip(self.views, parts, strict=True)]
        ).sum()

    def triplets(self, z: Tensor, rows: Tensor) -> Tensor:
        """Weighted sum over views of their triplet losses."""
        loss = z.new_zeros(())
        for view in self.views:
            if self.settings.triplet * view.weight > 0 and view.clusters > 1:
                drawn = draw_triplets(view.labels[rows], view.clusters, self.generator)
                loss = loss + view.weight * triplet_loss(z, drawn, self.settings.margin)
        return loss


@dataclass(frozen=True, eq=False)
class Whole:
    """A study that fits in one batch: what does not change from step to step.

    Neighbouring windows share all patches without gaps, so each distinct patch is kept, and multiplied, once.
    """

    windows: Tensor
    patches: Tensor
    places: Tensor
    moments: tuple[Tensor, Tensor] | None

    @classmethod
    def of(cls, windows: Windows, encoder: Encoder) -> Whole:
        """Gather windows once, each distinct patch of them standing for all that are equal."""
        cells = windows.index.index_select(1, encoder.cells).view(-1, encoder.shape.kernel**2)
        distinct, places, counts = torch.unique(cells, dim=0, return_inverse=True, return_counts=True)
        patches = windows.pile.index_select(0, distinct.view(-1)).view(len(distinct), -1)
        gathered = windows.take(torch.arange(len(windows), device=windows.index.device))
        if patches.shape[1] > GRAM_LIMIT:
            return cls(gathered, patches, places, None)
        share = (counts / counts.sum())[:, None]
        mean = (patches * share).sum(0)
        spread = patches - mean
        return cls(gathered, patches, places, (mean, spread.T @ (spread * share)))

    def statistics(self, encoder: Encoder) -> Statistics | None:
        """Exact mean and variance of the channels; None where the moments were not kept."""
        return None if self.moments is None else encoder.statistics(*self.moments)


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
            z = (
                sum(encoder(patches, statistics, dropout=dropout, generator=generator) for _ in range(passes))
                / passes
            )
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
