"""Autoencoders of rows: layers taught one by one to undo noise, then all of them together.

Layer l is taught, between the layers below, which stay as they are, and a decoder of its own, to give back
what it is fed from a corrupted copy (Vincent et al. 2010; in the form of Xie et al. 2016, who corrupt the
code as well):

    h = g(W · dropout(x) + b),  x̂ = g'(W' · dropout(h) + b'),  loss = mean (x − x̂)²

with g the identity for the code itself and g' the identity for the data, ReLU elsewhere. Fine-tuning stacks
all encoders and decoders and minimises the same loss without corruption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triptych.core.progress import track
from triptych.nets.autoencoder_inputs import Inputs
from triptych.nets.ensemble import dropout_mask, uniform
from triptych.nets.training import train

PART = 512  # rows encoded at once


@dataclass(frozen=True)
class Settings:
    """How to build and train an autoencoder.

    Parameters
    ----------
    hidden
        Widths of the layers between the data and the code.
    latent
        Dimension of the code.
    corruption
        Part of the values set to 0 while layers are taught one by one.
    pretraining
        Passes over the data for each layer; 0 leaves this out.
    epochs
        Passes over the data for all layers together.
    least_steps
        Steps that each of these takes at least, however few the observations.
    batch
        Observations per step, at most.
    optimiser
        ``adam``, or ``sgd`` with momentum 0.9.
    lr
        Its learning rate.
    """

    hidden: tuple[int, ...]
    latent: int
    corruption: float
    pretraining: int
    epochs: int
    least_steps: int
    batch: int
    optimiser: Literal["adam", "sgd"]
    lr: float

    def passes(self, epochs: int, n: int) -> int:
        """Epochs, or more where so few would make less than the least number of steps."""
        return max(epochs, -(-self.least_steps // max(1, -(-n // self.batch)))) if epochs else 0

    def optimise(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser."""
        if self.optimiser == "sgd":
            return torch.optim.SGD(parameters, self.lr, momentum=0.9)
        return torch.optim.Adam(parameters, self.lr, fused=True)


class Coder(nn.Module):
    """Linear layers with ReLU between them, none after the last.

    Parameters
    ----------
    widths
        Of the input, of each layer between, and of the output.
    generator
        Draws the initial weights, uniform in ±1/√fan-in; biases are 0. From weights larger by √6, as He et
        al. draw them, SGD at a rate of 0.1 diverged within an epoch.
    """

    def __init__(self, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            uniform((wide, narrow), wide, generator) for wide, narrow in pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths[1:])

    def forward(self, x: Tensor, layers: int | None = None) -> Tensor:
        """Apply the layers, or only the first few of them, which then end in ReLU."""
        last = len(self.weights) - 1
        for at, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if at == layers:
                return x
            x = torch.addmm(bias, x, weight)
            x = x if at == last else torch.relu(x)
        return x


def fit_autoencoder(
    inputs: Inputs, settings: Settings, generator: torch.Generator, *, label: str = "autoencoder"
) -> tuple[Coder, Coder, list[float]]:
    """Train an encoder and a decoder.

    Parameters
    ----------
    inputs
        Of n observations.
    settings
        How.
    generator
        Draws weights, batches and corruption.
    label
        Told to whoever listens to progress.

    Returns
    -------
        The encoder, the decoder, and the loss by epoch of fine-tuning.

    Raises
    ------
    NumericsError
        When the loss is not finite.
    """
    widths = (inputs.columns, *settings.hidden, settings.latent)
    encoder, decoder = Coder(widths, generator), Coder(widths[::-1], generator)
    n = len(inputs)
    for layer in range(len(widths) - 1 if settings.pretraining else 0):
        step = _denoising(inputs, (encoder, decoder), layer, settings.corruption, generator)
        _train(step, (encoder, decoder), layer, settings, (n, generator, f"{label}, layer {layer + 1}"))
    losses = _train(
        _reconstructing(inputs, encoder, decoder), (encoder, decoder), None, settings, (n, generator, label)
    )
    return encoder.requires_grad_(requires_grad=False), decoder.requires_grad_(requires_grad=False), losses


def _train(
    step: Callable[[Tensor], Tensor],
    coders: tuple[Coder, Coder],
    layer: int | None,
    settings: Settings,
    run: tuple[int, torch.Generator, str],
) -> list[float]:
    """Train one layer with its decoder, or all of them."""
    n, generator, label = run
    parameters = [p for coder in coders for p in coder.parameters()]
    if layer is not None:
        parameters = [getattr(coder, part)[at] for coder, at in _pair(coders, layer) for part in PARTS]
    epochs = settings.passes(settings.epochs if layer is None else settings.pretraining, n)
    return train(
        settings.optimise(parameters), step, n,
        epochs=epochs, batch=settings.batch, generator=generator, label=label,
    )  # fmt: skip


PARTS = ("weights", "biases")


def _pair(coders: tuple[Coder, Coder], layer: int) -> tuple[tuple[Coder, int], tuple[Coder, int]]:
    """A layer of the encoder, and the layer of the decoder that undoes it."""
    return (coders[0], layer), (coders[1], len(coders[1].weights) - 1 - layer)


def _denoising(
    inputs: Inputs, coders: tuple[Coder, Coder], layer: int, corruption: float, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """The loss of one layer between its neighbours."""
    (encoder, down), (decoder, up) = _pair(coders, layer)
    last = len(encoder.weights) - 1

    def step(rows: Tensor) -> Tensor:
        with torch.no_grad():
            x = encoder(torch.from_numpy(inputs.take(rows.numpy())), layer)
        noisy = x * dropout_mask(tuple(x.shape), corruption, generator)
        h = torch.addmm(encoder.biases[down], noisy, encoder.weights[down])
        h = h if layer == last else torch.relu(h)
        h = h * dropout_mask(tuple(h.shape), corruption, generator)
        guess = torch.addmm(decoder.biases[up], h, decoder.weights[up])
        return nn.functional.mse_loss(guess if layer == 0 else torch.relu(guess), x)

    return step


def _reconstructing(inputs: Inputs, encoder: Coder, decoder: Coder) -> Callable[[Tensor], Tensor]:
    """The loss of all layers together."""

    def step(rows: Tensor) -> Tensor:
        x = torch.from_numpy(inputs.take(rows.numpy()))
        return nn.functional.mse_loss(decoder(encoder(x)), x)

    return step


def to_arrays(coder: Coder) -> dict[str, NDArray[np.float32]]:
    """Weights and biases by name."""
    return {name: np.array(value.detach().numpy()) for name, value in coder.state_dict().items()}


def from_arrays(network: dict[str, NDArray[np.float32]]) -> Coder:
    """The coder whose weights and biases these are; a copy of its own.

    Raises
    ------
    ValueError
        When they are not those of one coder.
    """
    shapes = [network[f"weights.{layer}"].shape for layer in range(len(network) // 2)]
    if not shapes or any(len(shape) != 2 for shape in shapes):
        raise ValueError("its weights are not those of layers")
    coder = Coder((shapes[0][0], *(shape[1] for shape in shapes)), torch.Generator().manual_seed(0))
    try:
        coder.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in network.items()})
    except RuntimeError as error:  # torch's word for weights of another network
        raise ValueError(f"its weights do not fit each other: {error}") from error
    return coder


@torch.no_grad()
def encode(encoder: Coder, inputs: Inputs, *, label: str = "encoding") -> NDArray[np.float32]:
    """Codes of all rows, shape (n, latent).

    Every product has the same shape, the last part being padded, so that the code of a row does not depend
    on how many others there are.
    """
    n = len(inputs)
    codes = np.empty((n, len(encoder.biases[-1])), np.float32)
    starts = range(0, n, PART)
    for start in track(starts, label, len(starts)):
        x = torch.from_numpy(inputs.take(slice(start, start + PART)))
        used = len(x)
        padded = torch.cat([x, x.new_zeros((PART - used, x.shape[1]))])
        codes[start : start + used] = encoder(padded)[:used].numpy()
    return codes
