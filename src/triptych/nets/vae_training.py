"""Training autoencoders of crops, and encoding with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triptych.core.progress import track
from triptych.nets.training import train
from triptych.nets.vae import Seen, Shape, Vae
from triptych.nets.vae_losses import SpotWeights, divergence, gene_weights, stretch
from triptych.nets.vae_planes import rasterise, turn
from triptych.nets.vae_spots import logits, spot_loss

PART = 16  # crops encoded at once
SHOWN = 6  # crops whose reconstruction is kept
CANDIDATES = 200  # among which they are chosen


class Spots(Protocol):
    """Molecules of a batch, each array of shape (m,)."""

    @property
    def crop(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def gene(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def y(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def x(self) -> NDArray[np.int64]: ...  # noqa: D102


class Source(Protocol):
    """Where crops come from."""

    n: int

    def spots(self, rows: NDArray[np.int64]) -> Spots:
        """Molecules of some crops."""

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Grey values of some crops, shape (b, c, side, side)."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    spot_px
        Side of the square that a molecule becomes, odd.
    weights
        Of the loss of molecules.
    rare
        Whether rare genes count as much as frequent ones.
    beta
        Weight of the divergence from the unit normal.
    batch, epochs
        Crops per step at most, and passes over them.
    lr, eps, decay
        Learning rate, denominator's addend and weight decay of Adam.
    """

    spot_px: int
    weights: SpotWeights
    rare: bool
    beta: float
    batch: int
    epochs: int
    lr: float
    eps: float
    decay: float


def look(
    source: Source, rows: NDArray[np.int64], shape: Shape, settings: Settings, *, quarters: Tensor
) -> Seen:
    """Some crops, each turned by as many quarters as it is told.

    Parameters
    ----------
    source
        Of the crops.
    rows
        Which, shape (b,).
    shape, settings
        Of the network.
    quarters
        0 … 3 for each, shape (b,), on the device where the result is wanted.
    """
    planes = pixels = weights = None
    if shape.genes:
        spots, device = source.spots(rows), quarters.device
        crop, gene, y, x = (
            torch.from_numpy(part).to(device) for part in (spots.crop, spots.gene, spots.y, spots.x)
        )
        y, x = turn(y, x, quarters[crop], shape.side)
        planes = rasterise((crop, gene, y, x), (len(rows), shape.genes, shape.side), settings.spot_px)
        weights = gene_weights(crop, gene, len(rows), shape.genes) if settings.rare else None
    if shape.stains:
        pixels = stretch(torch.from_numpy(source.pixels(rows)).to(quarters.device))
        turned = [torch.rot90(one, k, (1, 2)) for one, k in zip(pixels, quarters.tolist(), strict=True)]
        pixels = torch.stack(turned)
    return Seen(planes, pixels, weights)


class _Losses:
    """Means by epoch of the terms of the loss."""

    def __init__(self, n: int) -> None:
        self.n, self.rows = n, 0
        self.by_epoch: dict[str, list[float]] = {}

    def add(self, terms: dict[str, Tensor], rows: int) -> None:
        """Note the terms of a batch."""
        for name, value in terms.items():
            epochs = self.by_epoch.setdefault(name, [])
            if not self.rows:
                epochs.append(0.0)
            epochs[-1] += float(value.detach()) * rows / self.n
        self.rows = (self.rows + rows) % self.n


def fit_vae(
    source: Source, shape: Shape, settings: Settings, generator: torch.Generator, *, label: str = "vae"
) -> tuple[Vae, dict[str, NDArray[np.float64]]]:
    """Train a network.

    Parameters
    ----------
    source
        Of the crops.
    shape, settings
        Of the network and its training.
    generator
        Draws weights, batches, turns and codes; its device is where the network is trained.
    label
        Told to whoever listens to progress.

    Returns
    -------
        The network, ready to encode, and the loss by epoch: ``total`` and its terms.

    Raises
    ------
    NumericsError
        When the loss is not finite.
    """
    network = Vae(shape, generator).to(generator.device).train()
    losses = _Losses(source.n)

    def step(rows: Tensor) -> Tensor:
        quarters = torch.randint(4, (len(rows),), generator=generator, device=generator.device)
        seen = look(source, rows.cpu().numpy(), shape, settings, quarters=quarters)
        noise = torch.randn(len(rows), shape.latent, generator=generator, device=generator.device)
        terms = loss_terms(network, seen, settings, noise)
        losses.add(terms, len(rows))
        weighted = [value * (settings.beta if name == "divergence" else 1) for name, value in terms.items()]
        return torch.stack(weighted).sum()

    total = train(
        torch.optim.Adam(
            network.parameters(), settings.lr, eps=settings.eps, weight_decay=settings.decay, fused=True
        ),
        step, source.n,
        epochs=settings.epochs, batch=settings.batch, generator=generator, label=label,
    )  # fmt: skip
    by_epoch = {"total": total, **losses.by_epoch}
    named = {name: np.array(values) for name, values in by_epoch.items()}
    return network.eval().requires_grad_(requires_grad=False), named


def loss_terms(network: Vae, seen: Seen, settings: Settings, noise: Tensor) -> dict[str, Tensor]:
    """Each term of the loss of a batch, with z = µ + σ · noise."""
    mean, log_variance = network.encoder(seen)
    z = mean + (log_variance / 2).exp() * noise
    terms: dict[str, Tensor] = {}
    if seen.planes is not None:
        terms["transcripts"] = spot_loss(
            network.spots(z), network.spot_weight, network.spot_bias, seen.planes,
            weights=settings.weights, genes=seen.gene_weights,
        )  # fmt: skip
    if seen.pixels is not None:
        terms["stains"] = torch.nn.functional.mse_loss(network.paint(z), seen.pixels)
    if settings.beta:
        terms["divergence"] = divergence(mean, log_variance)
    return terms


@torch.no_grad()
def encode(
    network: Vae, source: Source, settings: Settings, *, sigma: bool = False, label: str = "encoding"
) -> NDArray[np.float32]:
    """Codes of all crops, as they stand and without chance.

    All batches are of one size, the last row of the last being repeated, so that a code does not depend on
    its company.

    Parameters
    ----------
    network
        Fitted.
    source
        Of the crops.
    settings
        Of the fit.
    sigma
        Whether to add σ beside µ.
    label
        Told to whoever listens to progress.

    Returns
    -------
    Shape (n, latent), or (n, 2 · latent).
    """
    device = next(network.parameters()).device
    still, found = torch.zeros(PART, dtype=torch.int64, device=device), []
    starts = range(0, source.n, PART)
    for start in track(starts, label, len(starts)):
        rows = np.minimum(np.arange(start, start + PART), source.n - 1)
        mean, log_variance = network.encoder(look(source, rows, network.shape, settings, quarters=still))
        code = torch.cat([mean, (log_variance / 2).exp()], 1) if sigma else mean
        found.append(code[: source.n - start].cpu().numpy())
    return np.concatenate(found)


@torch.no_grad()
def pictures(
    network: Vae, source: Source, settings: Settings, stains: tuple[str, ...]
) -> dict[str, NDArray[np.uint8]]:
    """Some crops, spread over all that show something, beside what the decoder makes of their code.

    Returns
    -------
    By stain, and ``transcripts`` (the largest over genes), each of shape (k, 2, side, side).
    """
    device, shape = next(network.parameters()).device, network.shape
    rows = _spread(np.arange(source.n), CANDIDATES)
    if shape.genes:
        some = np.bincount(source.spots(rows).crop, minlength=len(rows)) > 0
        rows = rows[some] if some.any() else rows
    rows = _spread(rows, SHOWN)
    still = torch.zeros(len(rows), dtype=torch.int64, device=device)
    seen = look(source, rows, shape, settings, quarters=still)
    z, _ = network.encoder(seen)
    shown: dict[str, tuple[Tensor, Tensor]] = {}
    if seen.planes is not None:
        guess = logits(network.spots(z), network.spot_weight, network.spot_bias, shape.side)
        shown["transcripts"] = (seen.planes.dense().amax(1), torch.sigmoid(guess.amax(1)))
    if seen.pixels is not None:
        shown |= {name: (seen.pixels[:, c], network.paint(z)[:, c]) for c, name in enumerate(stains)}
    return {name: _grey(torch.stack(pair, 1)) for name, pair in shown.items()}


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most so many of them, evenly spaced."""
    chosen: NDArray[np.int64] = rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(np.int64))]
    return chosen


def _grey(x: Tensor) -> NDArray[Any]:
    return (x * 255).round().to(torch.uint8).cpu().numpy()
