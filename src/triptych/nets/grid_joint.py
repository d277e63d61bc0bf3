"""Fitting an auto-encoder of windows whose codes forget the section: the decoder is told it instead.

    L = reconstruction · Σ_m weight_m · |x_m − x̂_m(z, s)| + triplet · T + pairing · P + mixing · E

T is the triplet loss over clusters shared by all sections, P that with mutual nearest neighbours in other
sections as positives, E the energy distance between sections within clusters. x̂ knows the section s by a
one-hot code beside z and by an affine map of its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from triptych.nets.grid import Decoder, Encoder, GridShape, Statistics
from triptych.nets.grid_joint_losses import energy, pair_loss
from triptych.nets.grid_training import Whole, Windows, population_statistics
from triptych.nets.training import train
from triptych.nets.triplets import draw_triplets, triplet_loss


@dataclass(frozen=True)
class JointSettings:
    """How to train.

    Parameters
    ----------
    epochs, batch, lr, weight_decay
        Of Adam with AMSGrad.
    dropout
        Probability of dropping a channel.
    margin
        Of the triplet losses.
    reconstruction, triplet, pairing, mixing
        Weights of the four losses.
    refresh
        Epochs after which clusters and pairs are found anew; 0 for never.
    """

    epochs: int
    batch: int
    lr: float
    weight_decay: float
    dropout: float
    margin: float
    reconstruction: float
    triplet: float
    pairing: float
    mixing: float
    refresh: int


@dataclass(frozen=True, eq=False)
class Matches:
    """Who is alike across sections.

    Parameters
    ----------
    labels
        Cluster of each observation, shape (n,).
    clusters
        Their number.
    partners
        Rows in other sections that correspond to each, shape (n, p); -1 where there is none.
    """

    labels: Tensor
    clusters: int
    partners: Tensor


Matcher = Callable[[Encoder | None], Matches]  # from the codes as they are


class ConditionalDecoder(nn.Module):
    """Codes and sections → windows, before the sigmoid.

    Parameters
    ----------
    shape
        Sizes of the encoder.
    sections
        Their number; with one there is nothing to tell.
    generator
        Draws the initial weights.
    """

    def __init__(self, shape: GridShape, sections: int, generator: torch.Generator) -> None:
        super().__init__()
        told = sections if sections > 1 else 0
        sizes = {name: getattr(shape, name) for name in shape.__dataclass_fields__}
        self.told = told
        self.decoder = Decoder(GridShape(**(sizes | {"latent": shape.latent + told})), generator)
        self.gain = nn.Parameter(torch.zeros((max(told, 1), shape.channels), device=generator.device))
        self.shift = nn.Parameter(torch.zeros((max(told, 1), shape.channels), device=generator.device))

    def forward(self, z: Tensor, section: Tensor, *, dropout: float, generator: torch.Generator) -> Tensor:
        """Decode.

        Parameters
        ----------
        z
            Codes, shape (b, latent).
        section
            Code of the section, shape (b,).
        dropout
            Probability of dropping a channel.
        generator
            Draws the channels to drop.

        Returns
        -------
            Logits, shape (b, w², d).
        """
        given = torch.cat([z, one_hot(section, self.told).to(z.dtype)], 1) if self.told else z
        logits: Tensor = self.decoder(given, dropout=dropout, generator=generator)
        logits = logits.view(len(z), -1, self.gain.shape[1])
        if not self.told:
            return logits
        moved: Tensor = logits * (1 + self.gain[section])[:, None] + self.shift[section][:, None]
        return moved


@dataclass(frozen=True, eq=False)
class JointData:
    """What is learned from.

    Parameters
    ----------
    windows
        Of n observations.
    section
        Code of the section of each, shape (n,), 0 … S-1.
    sections
        S.
    told
        What the decoder is told of the section of each, shape (n,), 0 … S-1.
    views
        Dimensions of each view, in the order of the channels, and its weight.
    """

    windows: Windows
    section: Tensor
    sections: int
    told: Tensor
    views: tuple[tuple[int, float], ...]


def fit_joint(
    data: JointData,
    shape: GridShape,
    settings: JointSettings,
    matcher: Matcher,
    generator: torch.Generator,
) -> tuple[Encoder, Statistics, list[float]]:
    """Train encoder and decoder, looking anew from time to time who is alike; keep the encoder.

    Parameters
    ----------
    data
        What is learned from.
    shape
        Sizes of the encoder.
    settings
        How to train.
    matcher
        Says who is alike, before the first epoch (given None) and after every ``refresh`` of them.
    generator
        Draws weights, batches, triplets and dropout.

    Returns
    -------
        The encoder, the mean and variance of its channels over all windows, and the loss by epoch.
    """
    encoder, decoder = Encoder(shape, generator), ConditionalDecoder(shape, data.sections, generator)
    optimiser = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()],
        settings.lr,
        weight_decay=settings.weight_decay,
        amsgrad=True,
        fused=True,
    )
    n = len(data.windows)
    whole = Whole.of(data.windows, encoder) if n <= settings.batch else None
    batch = settings.batch if whole is not None else max(2, settings.batch // 2)  # partners fill the rest
    losses: list[float] = []
    while len(losses) < settings.epochs:
        matches = matcher(encoder if losses else None)
        step = _Step(data, whole, matches, encoder, decoder, settings, generator)
        left = settings.epochs - len(losses)
        epochs = min(settings.refresh or left, left)
        losses += train(
            optimiser, step, n, epochs=epochs, batch=batch, generator=generator, label="grid-joint"
        )
    encoder.requires_grad_(requires_grad=False)
    return encoder, population_statistics(encoder, data.windows), losses


@dataclass(frozen=True, eq=False)
class _Step:
    """The loss of a batch."""

    data: JointData
    whole: Whole | None
    matches: Matches
    encoder: Encoder
    decoder: ConditionalDecoder
    settings: JointSettings
    generator: torch.Generator

    def __call__(self, rows: Tensor) -> Tensor:
        settings, chance = self.settings, {"dropout": self.settings.dropout, "generator": self.generator}
        paired, partners = self.partners(rows)
        target, z, matched = self.encode(rows, partners, chance)
        labels, section = self.matches.labels[rows], self.data.section[rows]
        loss = 0.0 * z.sum()  # there is a gradient even where no loss applies
        if settings.reconstruction > 0:
            guess = torch.sigmoid(self.decoder(z, self.data.told[rows], **chance))
            loss = loss + settings.reconstruction * self.reconstruction(guess, target)
        if self.matches.clusters > 1:
            drawn = draw_triplets(labels, self.matches.clusters, self.generator)
            loss = loss + settings.triplet * triplet_loss(z, drawn, settings.margin)
            if len(paired) and settings.pairing > 0:
                loss = loss + settings.pairing * pair_loss(z, paired, matched, drawn, settings.margin)
        if settings.mixing > 0 and self.data.sections > 1:
            loss = loss + settings.mixing * energy(z, labels, section, self.data.sections, self.generator)
        return loss

    def partners(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the batch have a partner, and one of its partners, drawn anew in each step."""
        table = self.matches.partners.index_select(0, rows)
        column = torch.randint(table.shape[1], (len(rows), 1), generator=self.generator, device=table.device)
        partner = table.gather(1, column)[:, 0]
        paired = torch.nonzero(partner >= 0)[:, 0]
        return paired, partner[paired]

    def encode(self, rows: Tensor, partners: Tensor, chance: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Windows and codes of the batch, and the codes of the partners."""
        whole = self.whole
        if whole is not None:
            statistics = whole.statistics(self.encoder)
            z = self.encoder(whole.patches, statistics, places=whole.places, **chance)
            return whole.windows, z, z.index_select(0, partners)
        windows = self.data.windows.take(torch.cat([rows, partners]))
        z = self.encoder(self.encoder.patches(windows), **chance)
        return windows[: len(rows)], z[: len(rows)], z[len(rows) :]

    def reconstruction(self, guess: Tensor, target: Tensor) -> Tensor:
        """Weighted sum over views of their mean absolute errors."""
        error = (guess - target).abs().mean((0, 1))
        parts = torch.split(error, [columns for columns, _ in self.data.views])
        weighted = [weight * part.mean() for (_, weight), part in zip(self.data.views, parts, strict=True)]
        return torch.stack(weighted).sum()
