"""What an ensemble of small networks shares: its median, its dropout, its initial weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class _Median(torch.autograd.Function):
    """Lower median over the first axis; the gradient goes to the member that is the median.

    ``torch.median`` works on one slice at a time, which is slow for three members and millions of slices.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        if len(x) == 3:
            low, high = torch.minimum(x[0], x[1]), torch.maximum(x[0], x[1])
            middle = torch.maximum(low, torch.minimum(high, x[2]))
        else:
            middle = torch.median(x, dim=0).values
        ctx.save_for_backward(x, middle)
        return middle

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, middle = ctx.saved_tensors
        grad: Tensor = (x == middle) * grads[0]
        return grad


def median(x: Tensor) -> Tensor:
    """Lower median over the members.

    Parameters
    ----------
    x
        Shape (members, …).

    Returns
    -------
        Shape (…). Members that tie each receive the gradient, which changes nothing but its size.
    """
    if len(x) == 1:
        return x[0]
    result: Tensor = _Median.apply(x)  # type: ignore[no-untyped-call,unused-ignore]
    return result


def dropout_mask(shape: tuple[int, ...], p: float, generator: torch.Generator) -> Tensor:
    """Zeros with probability p, else 1/(1 − p): drawn from a generator that is passed in."""
    keep = torch.rand(shape, generator=generator, device=generator.device) >= p
    return keep / (1 - p)


def uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> torch.nn.Parameter:
    """Initial weights, uniform in ±1/√fan_in, as torch's linear and convolution layers begin."""
    bound = 1 / math.sqrt(fan_in)
    values = torch.rand(shape, generator=generator, device=generator.device)
    return torch.nn.Parameter((2 * values - 1) * bound)
