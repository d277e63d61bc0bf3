"""Convolutional auto-encoder of windows on a lattice, an ensemble computed as one network.

Per member (Nonchev et al. 2024, 10.1101/2024.06.04.24308256): convolution k → batch normalisation →
dropout of channels → ReLU → max-pooling → linear; and back: linear → ReLU → nearest up-sampling → dropout of
channels → transposed convolution → batch normalisation → sigmoid. The code and the reconstruction are the
medians of the members. The same function is computed here in a cheaper order:

- the windows are cut into patches, so the convolutions of all members are one matrix product;
- pooling comes before normalisation, dropout and ReLU, which never change the order of two values of a
  channel (a channel whose scale is negative is turned over first);
- up-sampling and transposed convolution are linear, so they are one matrix, built once per step;
- the batch statistics of a linear layer follow from the mean and covariance of its inputs;
- the median comes before the sigmoid, which is increasing.

A bias in front of batch normalisation has no effect and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, one_hot, relu

from triptych.nets.ensemble import dropout_mask, median, uniform

EPSILON = 1e-5  # of batch normalisation
STRIDE = 3  # of pooling
Statistics: TypeAlias = tuple[Tensor, Tensor]  # mean and variance per channel


@dataclass(frozen=True)
class GridShape:
    """Sizes of the network.

    Parameters
    ----------
    channels
        d, dimensions of all views together.
    window
        w, side of the window; odd.
    hidden
        h, channels of the convolution of each member.
    latent
        Dimensions of the code.
    members
        M, size of the ensemble.
    ceil
        Whether pooling keeps the incomplete last window, so that the whole window is seen. The published
        network does not: at w = 7 it sees the first five rows and columns only.
    """

    channels: int
    window: int
    hidden: int = 64
    latent: int = 16
    members: int = 3
    ceil: bool = True

    @property
    def kernel(self) -> int:
        """k: 3, or less in windows below 5."""
        return min(3, max(1, self.window - 1))

    @property
    def side(self) -> int:
        """o: side of what the convolution gives."""
        return self.window - self.kernel + 1

    @property
    def pooled(self) -> int:
        """p: side of what pooling gives."""
        steps, rest = divmod(self.side - self.kernel, STRIDE)
        started = self.ceil and rest > 0 and (steps + 1) * STRIDE < self.side
        return steps + 1 + int(started)


class Encoder(nn.Module):
    """Windows → codes.

    Parameters
    ----------
    shape
        Sizes.
    generator
        Draws the initial weights.
    """

    cells: Tensor

    def __init__(self, shape: GridShape, generator: torch.Generator) -> None:
        super().__init__()
        self.shape = shape
        m, h, k, p = shape.members, shape.hidden, shape.kernel, shape.pooled
        fan_in, wide = shape.channels * k * k, h * p * p
        self.kernel = uniform((fan_in, m * h), fan_in, generator)  # (ky, kx, d) × (member, channel)
        self.gain = nn.Parameter(torch.ones(m * h, device=generator.device))
        self.shift = nn.Parameter(torch.zeros(m * h, device=generator.device))
        self.linear = uniform((m, wide, shape.latent), wide, generator)
        self.bias = uniform((m, 1, shape.latent), wide, generator)
        self.register_buffer("cells", _patch_cells(shape).to(generator.device), persistent=False)

    def patches(self, windows: Tensor) -> Tensor:
        """Cut windows (b, w², d) into patches (b·o², k²·d)."""
        cut = windows.index_select(1, self.cells)
        return cut.view(-1, self.shape.kernel**2 * self.shape.channels)

    def statistics(self, mean: Tensor, covariance: Tensor) -> Statistics:
        """Mean and variance of every channel over patches of this mean and covariance."""
        return mean @ self.kernel, ((covariance @ self.kernel) * self.kernel).sum(0)

    def forward(
        self,
        patches: Tensor,
        statistics: Statistics | None = None,
        *,
        places: Tensor | None = None,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Encode patches.

        Parameters
        ----------
        patches
            From `patches`.
        places
            Where windows share patches, those given are the distinct ones, and this has the row among them of
            each of the b·o² patches.
        statistics
            Mean and variance of every channel; by default those of this batch.
        dropout
            Probability of dropping a channel; needs the generator.
        generator
            Draws the channels to drop; None for none.

        Returns
        -------
            Codes, shape (b, latent).
        """
        s = self.shape
        turn = torch.where(self.gain >= 0, 1.0, -1.0)
        y = patches @ (self.kernel * turn)
        y = y if places is None else y.index_select(0, places)
        if statistics is None:
            variance, mean = torch.var_mean(y, 0, correction=0)
        else:
            mean, variance = statistics[0] * turn, statistics[1]
        maps = y.view(-1, s.side, s.side, y.shape[1]).permute(0, 3, 1, 2)
        top = max_pool2d(maps, s.kernel, STRIDE, ceil_mode=s.ceil).flatten(2)
        scale = self.gain.abs() * torch.rsqrt(variance + EPSILON)
        h = relu((top - mean[:, None]) * scale[:, None] + self.shift[:, None])
        if generator is not None:
            h = h * dropout_mask((len(h), h.shape[1], 1), dropout, generator)
        h = h.reshape(len(h), s.members, -1).transpose(0, 1)
        return median(torch.baddbmm(self.bias, h, self.linear))


class Decoder(nn.Module):
    """Codes → windows, before the sigmoid.

    Parameters
    ----------
    shape
        Sizes.
    generator
        Draws the initial weights.
    """

    spread: Tensor

    def __init__(self, shape: GridShape, generator: torch.Generator) -> None:
        super().__init__()
        self.shape = shape
        m, h, k, p = shape.members, shape.hidden, shape.kernel, shape.pooled
        self.linear = uniform((m, shape.latent, h * p * p), shape.latent, generator)
        self.bias = uniform((m, 1, h * p * p), shape.latent, generator)
        self.kernel = uniform((m, h, k * k, shape.channels), shape.channels * k * k, generator)
        self.gain = nn.Parameter(torch.ones((m, shape.channels), device=generator.device))
        self.shift = nn.Parameter(torch.zeros((m, shape.channels), device=generator.device))
        self.register_buffer("spread", _spread(shape).to(generator.device), persistent=False)

    def forward(
        self,
        z: Tensor,
        statistics: Statistics | None = None,
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Decode.

        Parameters
        ----------
        z
            Codes, shape (b, latent).
        statistics
            Mean and variance per member and dimension, each (M, d); by default those of this batch.
        dropout
            Probability of dropping a channel; needs the generator.
        generator
            Draws the channels to drop; None for none.

        Returns
        -------
            Logits, shape (b, w²·d).
        """
        s = self.shape
        h = relu(torch.baddbmm(self.bias, z.expand(s.members, -1, -1), self.linear))
        if generator is not None:
            mask = dropout_mask((s.members, len(z), s.hidden, 1), dropout, generator)
            h = (h.view(s.members, len(z), s.hidden, -1) * mask).view_as(h)
        taps = (self.spread @ self.kernel).view(s.members, h.shape[2], s.window**2, s.channels)
        mean, variance = self.statistics(h, taps) if statistics is None else statistics
        scale = self.gain * torch.rsqrt(variance + EPSILON)
        offset = (self.shift - mean * scale).repeat(1, s.window**2)[:, None, :]
        weights = (taps * scale[:, None, None, :]).flatten(2)
        return median(torch.baddbmm(offset, h, weights))

    def statistics(self, h: Tensor, taps: Tensor) -> Statistics:
        """Mean and variance of each dimension over a batch and its w² places.

        With y = hT, the variance is that within places, diag(TᵀCT) averaged over places for the
        covariance C of h, and that between them, of the places' means.

        Parameters
        ----------
        h
            Inputs of the linear map, shape (M, b, f).
        taps
            T, shape (M, f, w², d).
        """
        centre = h.mean(1, keepdim=True)
        spread = h - centre
        covariance = spread.transpose(1, 2) @ spread / h.shape[1]
        flat = taps.flatten(2)
        within = ((covariance @ flat) * flat).sum(1).view(len(h), *taps.shape[2:]).mean(1)
        means = (centre @ flat).view(len(h), *taps.shape[2:])
        between, mean = torch.var_mean(means, 1, correction=0)
        return mean, within + between


def _patch_cells(shape: GridShape) -> Tensor:
    """Which of the w² cells each of the o² patches takes, in order, shape (o²·k²,)."""
    places = torch.arange(shape.window**2).view(shape.window, shape.window)
    cut = places.unfold(0, shape.kernel, 1).unfold(1, shape.kernel, 1)
    return cut.reshape(-1)


def _spread(shape: GridShape) -> Tensor:
    """Up-sampling followed by transposed convolution, as a matrix from kernel entries to places.

    Shape (p²·w², k²): row (q, y) holds 1 where entry t of the kernel carries pooled cell q to place y.
    """
    o, p, k, w = shape.side, shape.pooled, shape.kernel, shape.window
    nearest = torch.arange(o) * p // o
    source = nearest[:, None] * p + nearest[None, :]  # (o, o) → pooled cell
    matrix = torch.zeros(p * p, w, w, k, k)
    for i in range(k):
        for j in range(k):
            block = one_hot(source, p * p).permute(2, 0, 1).float()
            matrix[:, i : i + o, j : j + o, i, j] = block
    return matrix.reshape(p * p * w * w, k * k)
