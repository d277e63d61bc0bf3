"""Several multi-layer perceptrons of one shape as one network, each product a batch of theirs.

    h_l = SiLU(W_l h_{l−1} + b_l),  ŷ = W_L h_{L−1} + b_L

A small product on a CPU costs its overhead; side by side the members pay it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triptych.nets.ensemble import dropout_mask, uniform

PART = 512  # rows predicted at once
GAIN = 2.9  # √3 / √E SiLU(z)² for z of the unit normal: with it the size of h is the same in every layer


class Regressors(nn.Module):
    """Linear layers with SiLU between them, for each member its own.

    Parameters
    ----------
    members
        How many.
    widths
        Of the input, of each layer between, and of the output.
    generator
        Draws the initial weights, on its device; biases are 0.

    Notes
    -----
    From torch's own initial weights, which take SiLU for the identity, the signal of seven layers shrinks by
    a factor of some hundreds, and nothing is learned for many epochs.
    """

    def __init__(self, members: int, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.members, self.widths = members, tuple(widths)
        self.weights = nn.ParameterList(
            uniform((members, wide, narrow), wide, generator) for wide, narrow in pairwise(widths)
        )
        with torch.no_grad():
            for weight in self.weights[1:]:
                weight *= GAIN
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(members, 1, width, device=generator.device)) for width in widths[1:]
        )

    def forward(self, x: Tensor, *, dropout: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        x
            What each member sees, shape (members, b, widths[0]).
        dropout
            Probability of dropping a value after each SiLU.
        generator
            Draws which; None drops nothing.

        Returns
        -------
            Shape (members, b, widths[-1]).
        """
        last = len(self.weights) - 1
        for at, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if at < last:
                x = nn.functional.silu(x)
                if dropout and generator is not None:
                    x = x * dropout_mask(tuple(x.shape), dropout, generator)
        return x


@dataclass(frozen=True, eq=False)
class Scale:
    """Means and deviations by member; what was constant has a deviation of 0, and becomes 0.

    Parameters
    ----------
    mean, deviation
        Shape (members, 1, d).
    clip
        Largest size of a standardised value; 0 for no limit.
    """

    mean: Tensor
    deviation: Tensor
    clip: float = 0.0

    @classmethod
    def of(cls, x: Tensor, rows: Sequence[Tensor], clip: float = 0.0) -> Scale:
        """Those of the rows of x, shape (n, d), that each member learns from."""
        mean, deviation = [], []
        for some in rows:
            seen = x.index_select(0, some)
            same = seen.amax(0) == seen.amin(0)  # told exactly: rounding leaves a constant some deviation
            square, centre = torch.var_mean(seen.double(), 0, correction=0)
            mean.append(centre)
            deviation.append(torch.where(same, 0, square.sqrt()))
        return cls(torch.stack(mean)[:, None].float(), torch.stack(deviation)[:, None].float(), clip)

    @cached_property
    def factor(self) -> Tensor:
        """What multiplies x; with `shift` it spares a pass over each batch."""
        return torch.where(self.deviation > 0, 1 / self.deviation, 0)

    @cached_property
    def shift(self) -> Tensor:
        """What is added then."""
        return -self.mean * self.factor

    def apply(self, x: Tensor) -> Tensor:
        """Standardise x of shape (members, b, d)."""
        z = torch.addcmul(self.shift, x, self.factor)
        return z.clamp_(-self.clip, self.clip) if self.clip else z

    def member(self, at: int) -> Scale:
        """That of one member."""
        return Scale(self.mean[at : at + 1], self.deviation[at : at + 1], self.clip)

    def undo(self, z: Tensor) -> Tensor:
        """Bring z of shape (members, b, d) back to the units of x."""
        return z * self.deviation + self.mean


@torch.no_grad()
def guesses(network: Regressors, inputs: Scale, x: Tensor, rows: Tensor) -> Tensor:
    """What each member says of its rows, in its own standardised units.

    Every product has the same shape, the last part being padded, so that what is said of a row does not
    depend on how many others there are.

    Parameters
    ----------
    network, inputs
        The members and the scales of their inputs.
    x
        Inputs of all observations, shape (n, d).
    rows
        Shape (members, s).

    Returns
    -------
        Shape (members, s, t).
    """
    found = []
    for start in range(0, rows.shape[1], PART):
        part = rows[:, start : start + PART]
        padded = torch.cat([part, part[:, -1:].expand(-1, PART - part.shape[1])], 1)
        found.append(network(inputs.apply(x[padded]))[:, : part.shape[1]])
    return torch.cat(found, 1)


def to_arrays(network: Regressors) -> dict[str, NDArray[np.float32]]:
    """Weights and biases by name."""
    return {name: np.array(value.detach().cpu().numpy()) for name, value in network.state_dict().items()}


def from_arrays(arrays: dict[str, NDArray[np.float32]], device: str = "cpu") -> Regressors:
    """The network whose weights and biases these are; a copy of its own.

    Raises
    ------
    ValueError
        When they are not those of one network.
    """
    try:
        shapes = [arrays[f"weights.{layer}"].shape for layer in range(len(arrays) // 2)]
    except KeyError as error:
        raise ValueError(f"its network lacks {error}") from error
    if not shapes or any(len(shape) != 3 for shape in shapes):
        raise ValueError("its weights are not those of layers")
    widths = (shapes[0][1], *(shape[2] for shape in shapes))
    network = Regressors(shapes[0][0], widths, torch.Generator().manual_seed(0))
    try:
        network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})
    except RuntimeError as error:  # torch's word for weights of another network
        raise ValueError(f"its weights do not fit each other: {error}") from error
    return network.to(device).requires_grad_(requires_grad=False)
