"""Convolutional variational autoencoders of crops: one encoder, a decoder for each kind of what is seen.

Each block is a convolution of kernel 3 and stride 2, batch normalisation and a leaky ReLU; two linear heads
give µ and log σ². A decoder mirrors the blocks by transposed convolutions. Its last one has neither
normalisation nor ReLU, as background could not become 0 behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from triptych.nets.ensemble import uniform
from triptych.nets.vae_planes import Planes, convolve
from triptych.nets.vae_shape import sizes, trimmed, whole

SLOPE, TAPS = 0.1, 9
LAST = torch.channels_last


@dataclass(frozen=True)
class Shape:
    """What a network sees, and how wide it is.

    Parameters
    ----------
    side
        Of the crop in pixels.
    genes, stains
        Number of planes of molecules and of channels of stains; one of them may be 0.
    channels
        After each block of the encoder; the decoder of molecules has them in reverse.
    stain_channels
        Those of the decoder of stains, as many.
    latent
        Dimension of the code.
    """

    side: int
    genes: int
    stains: int
    channels: tuple[int, ...]
    stain_channels: tuple[int, ...]
    latent: int


class Seen(NamedTuple):
    """A batch of crops.

    Attributes
    ----------
    planes
        Of molecules; None where none are looked at.
    pixels
        Of stains, each channel of each crop from 0 to 1, shape (b, c, side, side); None where none are.
    gene_weights
        Of this batch, shape (genes,); None for 1.
    """

    planes: Planes | None
    pixels: Tensor | None
    gene_weights: Tensor | None = None


class Encoder(nn.Module):
    """Crops → µ and log σ².

    Parameters
    ----------
    shape
        Of the network.
    generator
        Draws the weights.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        first, fan = shape.channels[0], TAPS * (shape.genes + shape.stains)
        if shape.genes:
            self.spots = uniform((shape.genes * TAPS, first), fan, generator)
        if shape.stains:
            self.stains = uniform((first, shape.stains, 3, 3), fan, generator)
        pairs = pairwise(shape.channels)
        self.convolutions = nn.ParameterList(
            uniform((wide, narrow, 3, 3), TAPS * narrow, generator) for narrow, wide in pairs
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in shape.channels)
        size = shape.channels[-1] * sizes(shape.side, len(shape.channels))[-1] ** 2
        self.heads = uniform((2 * shape.latent, size), size, generator)
        self.bias = uniform((2 * shape.latent,), size, generator)

    def forward(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Both of shape (b, latent)."""
        x: Tensor | None = None
        if seen.planes is not None:
            x = convolve(seen.planes, self.spots)
        if seen.pixels is not None:
            pixels = seen.pixels.contiguous(memory_format=LAST)
            of_stains = functional.conv2d(whole(pixels), self.stains, stride=2)
            x = of_stains if x is None else x + of_stains
        if x is None:
            raise ValueError("there is nothing to encode")
        for at, norm in enumerate(self.norms):
            x = x if at == 0 else functional.conv2d(whole(x), self.convolutions[at - 1], stride=2)
            x = functional.leaky_relu(norm(x), SLOPE)
        mean, log_variance = functional.linear(x.flatten(1), self.heads, self.bias).chunk(2, 1)
        return mean, log_variance


class Decoder(nn.Module):
    """Codes → input of the last transposed convolution.

    Parameters
    ----------
    shape
        Of the network.
    channels
        After each block of the encoder that it mirrors.
    generator
        Draws the weights.
    """

    def __init__(self, shape: Shape, channels: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        sides = sizes(shape.side, len(channels))
        self.start, self.sides = (channels[-1], sides[-1], sides[-1]), sides[-2:0:-1]
        size = channels[-1] * sides[-1] ** 2
        self.weight = uniform((size, shape.latent), shape.latent, generator)
        self.bias = uniform((size,), shape.latent, generator)
        up = channels[::-1]
        self.convolutions = nn.ParameterList(
            uniform((wide, narrow, 3, 3), TAPS * wide, generator) for wide, narrow in pairwise(up)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in up[1:])

    def forward(self, z: Tensor) -> Tensor:
        """Shape (b, channels[0], n, n)."""
        x = functional.linear(z, self.weight, self.bias).view(-1, *self.start).contiguous(memory_format=LAST)
        for weight, norm, side in zip(self.convolutions, self.norms, self.sides, strict=True):
            x = trimmed(functional.conv_transpose2d(x, weight, stride=2), side)
            x = functional.leaky_relu(norm(x), SLOPE)
        return x


class Vae(nn.Module):
    """The encoder with one or two decoders.

    Parameters
    ----------
    shape
        Of the network.
    generator
        Draws the weights, uniform in ±1/√fan-in.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        if len(shape.stain_channels) != len(shape.channels):
            raise ValueError(f"{shape.channels} and {shape.stain_channels} are not as many blocks")
        self.shape = shape
        self.encoder = Encoder(shape, generator)
        if shape.genes:
            width = shape.channels[0]
            self.spots = Decoder(shape, shape.channels, generator)
            self.spot_weight = uniform((3, 3, shape.genes, width), TAPS * width, generator)
            self.spot_bias = uniform((shape.genes,), TAPS * width, generator)
        if shape.stains:
            width = shape.stain_channels[0]
            self.stains = Decoder(shape, shape.stain_channels, generator)
            self.stain_weight = uniform((width, shape.stains, 3, 3), TAPS * width, generator)
            self.stain_bias = uniform((shape.stains,), TAPS * width, generator)

    def paint(self, z: Tensor) -> Tensor:
        """Stains given back, from 0 to 1, shape (b, c, side, side)."""
        x = functional.conv_transpose2d(self.stains(z), self.stain_weight, self.stain_bias, stride=2)
        return torch.sigmoid(trimmed(x, self.shape.side))


def to_arrays(network: Vae) -> dict[str, NDArray[np.float32]]:
    """Weights, and running statistics of the normalisation, by name."""
    return {
        name: np.array(value.detach().cpu().numpy())
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def from_arrays(arrays: dict[str, NDArray[np.float32]], shape: Shape) -> Vae:
    """The network whose weights these are, for encoding only; a copy of its own.

    Raises
    ------
    ValueError
        When they are not those of a network of this shape.
    """
    network = Vae(shape, torch.Generator().manual_seed(0))
    state = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("_tracked")}
    try:
        network.load_state_dict(counters | state)
    except RuntimeError as error:  # torch's word for weights of another network
        raise ValueError(f"its weights do not fit each other: {error}") from error
    return network.eval().requires_grad_(requires_grad=False)
