"""Training of spot-vae beside a plain loop over dense planes: crops per second, their ratio, and both losses.

    python benchmarks/vae_throughput.py --cells 5000 --genes 241 --side 100 --batches 10 --threads 2

The plain loop is what one would write first: a Dataset that paints the planes of a crop, a DataLoader, dense
convolutions, losses as their equations stand. Both have the same weights, crops, turns and noise. Cells lie
uniformly in a section, and so do molecules, of genes whose frequencies differ as they do in tissue.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, Dataset

from triptych.core.protocols import Crops, Molecules
from triptych.maths.crops import Cropper
from triptych.nets.vae import Encoder, Shape, Vae
from triptych.nets.vae_losses import SpotWeights
from triptych.nets.vae_shape import sizes, trimmed, whole
from triptych.nets.vae_training import Settings, look, loss_terms

WEIGHTS = SpotWeights(dice=1.0, focal=0.2, smooth=1.0, gamma=2.0, alpha=0.25)


def section(cells: int, genes: int, side: int, seen: int, spread: float, seed: int) -> Crops:
    """Cells with about ``seen`` molecules in the crop of each."""
    rng = np.random.default_rng(seed)
    width = side * np.sqrt(cells) / 2  # each point lies in four crops
    m = int(seen * (width / side) ** 2)
    rate = rng.lognormal(0, spread, genes)
    px = rng.uniform(0, width, (m, 2)).astype(np.float32)
    gene = rng.choice(genes, m, p=rate / rate.sum())
    molecules = Molecules(px, gene, np.full(m, -1))
    names = np.array([f"g{i}" for i in range(genes)])
    return Crops(
        rng.uniform(0, width, (cells, 2)), np.zeros(cells, int), (0.1,), genes=names, molecules=(molecules,)
    )


class Planes(Dataset):
    """Dense planes of one crop: turned, each molecule a square."""

    def __init__(self, cropper: Cropper, genes: int, spot_px: int, quarters: torch.Tensor) -> None:
        spots = cropper.spots(np.arange(cropper.n))
        order = np.argsort(spots.crop, kind="stable")
        ends = np.bincount(spots.crop, minlength=cropper.n).cumsum()
        cut = [np.split(part[order], ends[:-1]) for part in (spots.gene, spots.y, spots.x)]
        self.of_crop = list(zip(*cut, strict=True))
        self.genes, self.side, self.reach, self.quarters = genes, cropper.side_px, spot_px // 2, quarters

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        planes = np.zeros((self.genes, self.side, self.side), np.float32)
        gene, y, x = self.of_crop[row]
        for g, a, b in zip(gene.tolist(), y.tolist(), x.tolist(), strict=True):
            planes[
                g, max(a - self.reach, 0) : a + self.reach + 1, max(b - self.reach, 0) : b + self.reach + 1
            ] = 1
        counts = torch.from_numpy(np.bincount(gene, minlength=self.genes))
        return torch.rot90(torch.from_numpy(planes), int(self.quarters[row]), (1, 2)), counts

    def __len__(self) -> int:
        return len(self.of_crop)


class Whole(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return whole(x)


class Trimmed(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return trimmed(x, self.side)


class Plain(nn.Module):
    """The same network of plain layers, with the same weights."""

    def __init__(self, vae: Vae) -> None:
        super().__init__()
        shape = vae.shape
        widths, sides = (shape.genes, *shape.channels), sizes(shape.side, len(shape.channels))
        down, up = [], []
        for at in range(len(shape.channels)):
            down += [Whole(), nn.Conv2d(widths[at], widths[at + 1], 3, 2, bias=False)]
            down += [nn.BatchNorm2d(widths[at + 1]), nn.LeakyReLU(0.1)]
        for at in range(len(shape.channels) - 1, 0, -1):
            up += [nn.ConvTranspose2d(widths[at + 1], widths[at], 3, 2, bias=False), Trimmed(sides[at])]
            up += [nn.BatchNorm2d(widths[at]), nn.LeakyReLU(0.1)]
        up += [nn.ConvTranspose2d(widths[1], shape.genes, 3, 2), Trimmed(shape.side)]
        size = int(np.prod(vae.spots.start))
        self.down, self.heads = nn.Sequential(*down, nn.Flatten()), nn.Linear(size, 2 * shape.latent)
        start = nn.Linear(shape.latent, size)
        self.up = nn.Sequential(start, nn.Unflatten(1, vae.spots.start), *up)
        self._copy(vae)

    @torch.no_grad()
    def _copy(self, vae: Vae) -> None:
        first: Encoder = vae.encoder
        kernel = first.spots.view(vae.shape.genes, 3, 3, -1).permute(3, 0, 1, 2)
        down = [layer for layer in self.down if isinstance(layer, nn.Conv2d)]
        up = [layer for layer in self.up if isinstance(layer, nn.ConvTranspose2d)]
        for layer, weight in zip(down, (kernel, *first.convolutions), strict=True):
            layer.weight.copy_(weight)
        last = vae.spot_weight.permute(3, 2, 0, 1)
        for layer, weight in zip(up, (*vae.spots.convolutions, last), strict=True):
            layer.weight.copy_(weight)
        up[-1].bias.copy_(vae.spot_bias)
        for layer, weight, bias in (
            (self.heads, first.heads, first.bias), (self.up[0], vae.spots.weight, vae.spots.bias)
        ):  # fmt: skip
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)

    def forward(self, planes: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        mean, log_variance = self.heads(self.down(planes)).chunk(2, 1)
        return self.up(mean + (log_variance / 2).exp() * noise)


def plain_loss(logits: torch.Tensor, target: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """As the equations stand."""
    dice, focal, smooth, gamma, alpha = WEIGHTS
    largest = counts.max(1, keepdim=True).values
    rare = torch.where(counts > 0, largest / counts.clamp(min=1), 0).mean(0)
    rare = rare / rare.max()
    p = torch.sigmoid(logits)
    both = (p * target).sum((0, 2, 3))
    of_dice = 1 - (2 * both + smooth) / (p.sum((0, 2, 3)) + target.sum((0, 2, 3)) + smooth)
    entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    alpha_t = alpha * target + (1 - alpha) * (1 - target)
    of_focal = (alpha_t * (1 - p_t) ** gamma * entropy).mean((0, 2, 3))
    return (rare * (dice * of_dice + focal * of_focal)).mean()


class Clock:
    """Seconds of wall and of processor, of the best third of the steps: others use this machine too."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []

    def start(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        now = time.perf_counter(), time.process_time()
        self.steps.append((now[0] - self.began[0], now[1] - self.began[1]))

    def best(self) -> np.ndarray:
        kept = np.sort(np.array(self.steps[1:]), axis=0)
        return kept[: -(-len(kept) // 3)].mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in {
        "cells": 5000, "genes": 241, "side": 100, "channels": 115, "batch": 8, "batches": 9, "molecules": 150,
        "spot-px": 5, "threads": 2, "workers": 0, "seed": 0,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--spread", type=float, default=1.3, help="of the logarithm of genes' frequencies")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cropper = Cropper(
        section(args.cells, args.genes, args.side, args.molecules, args.spread, args.seed), args.side
    )
    shape = Shape(args.side, args.genes, 0, (args.channels,) * 5, (args.channels,) * 5, 50)
    settings = Settings(args.spot_px, WEIGHTS, True, 0.0, args.batch, 1, 5e-4, 1e-8, 0.0)
    generator = torch.Generator().manual_seed(args.seed)
    vae = Vae(shape, generator).train()
    plain = Plain(vae).train()
    rows = torch.randperm(cropper.n, generator=generator)[: args.batch * args.batches].view(-1, args.batch)
    quarters = torch.randint(4, (cropper.n,), generator=generator)
    noise = torch.randn(args.batches, args.batch, 50, generator=generator)

    clocks, losses = {"triptych": Clock(), "plain": Clock()}, {"triptych": [], "plain": []}
    ours = torch.optim.Adam(vae.parameters(), settings.lr, fused=True)
    theirs = torch.optim.Adam(plain.parameters(), settings.lr)
    loader = iter(
        DataLoader(
            Planes(cropper, args.genes, args.spot_px, quarters), batch_sampler=rows.tolist(),
            num_workers=args.workers,
        )
    )  # fmt: skip
    for step in range(args.batches):
        clock = clocks["triptych"]
        clock.start()
        seen = look(cropper, rows[step].numpy(), shape, settings, quarters=quarters[rows[step]])
        loss = loss_terms(vae, seen, settings, noise[step])["transcripts"]
        ours.zero_grad(set_to_none=True)
        loss.backward()
        ours.step()
        clock.stop()
        losses["triptych"].append(float(loss.detach()))

        clock = clocks["plain"]
        clock.start()
        planes, counts = next(loader)
        loss = plain_loss(plain(planes, noise[step]), planes, counts)
        theirs.zero_grad(set_to_none=True)
        loss.backward()
        theirs.step()
        clock.stop()
        losses["plain"].append(float(loss.detach()))
    report(clocks, losses, args.batch, len(np.unique(seen.planes.gene)))


def report(clocks: dict[str, Clock], losses: dict[str, list[float]], batch: int, genes: int) -> None:
    best = {name: clock.best() for name, clock in clocks.items()}
    for name, (wall, cpu) in best.items():
        print(f"{name:10s}{batch / wall:8.2f} crops/s{cpu:8.3f} s of processor a batch")
    ratio = best["plain"] / best["triptych"]
    print(f"ratio {ratio[0]:.2f} by the clock, {ratio[1]:.2f} of processor; {genes} genes in the last batch")
    apart = np.abs(np.subtract(losses["triptych"], losses["plain"]))
    print(
        f"losses {losses['triptych'][0]:.6f} … {losses['triptych'][-1]:.6f}; "
        f"apart by {apart[0]:.1e} in the first batch, {apart.max():.1e} at most"
    )


if __name__ == "__main__":
    main()
