"""Deep embedded clustering: an encoder and centres, moved so that soft assignments meet a sharper target.

    q_ij ∝ (1 + ‖z_i − µ_j‖² / α)^(−(α + 1) / 2),   Σ_j q_ij = 1
    p_ij ∝ q_ij² · v_j,                             Σ_j p_ij = 1
    loss = mean_i w_i Σ_j p_ij log(p_ij / q_ij)

The target of the paper (Xie et al. 2016) has v_j = 1 / Σ_i q_ij and w_i = 1. As it divides by the size of
a cluster, it draws what lies between a big cluster and a small one to the small one, which fills up with
others; and the encoder, taught by the mean over observations, serves the big clusters. The balanced target
keeps the share of each cluster as it was at the start, Σ_i p_ij = n π_j, by choosing v (Sinkhorn's
iteration), and weighs observations so that all clusters have an equal say, w_i ∝ 1 / π_c(i).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.core.errors import NumericsError
from triptych.core.progress import track
from triptych.nets.autoencoder import PART, Coder
from triptych.nets.autoencoder_inputs import Inputs
from triptych.nets.training import batches

Target = Callable[[Tensor], Tensor]  # q of all observations → p, both of shape (n, k)
ROUNDS, CLOSE, TINY = 200, 1e-4, 1e-30


def soft_assignment(z: Tensor, centres: Tensor, alpha: float = 1.0) -> Tensor:
    """Share of each cluster in each row by Student's t kernel.

    Parameters
    ----------
    z
        Codes, shape (n, d).
    centres
        Shape (k, d).
    alpha
        Degrees of freedom.

    Returns
    -------
        q, shape (n, k); rows sum to 1.
    """
    square = (z[:, None] - centres).square().sum(2)
    # The largest of a row is made 1 before powers are taken, so that none of them is lost for far rows.
    ratio = (1 + square / alpha).log()
    return torch.softmax(-(alpha + 1) / 2 * ratio, 1)


def sharpened(q: Tensor) -> Tensor:
    """The target of the paper: p_ij = (q_ij² / f_j) / Σ_j' (q_ij'² / f_j'), f_j = Σ_i q_ij, shape (n, k)."""
    weight = q.square() / q.sum(0).clamp(min=TINY)
    return weight / weight.sum(1, keepdim=True)


def balanced(q: Tensor, share: Tensor) -> Tensor:
    """A target as sharp that gives every cluster a fixed share of the observations.

    Parameters
    ----------
    q
        Soft assignments, shape (n, k).
    share
        Of each cluster, summing to 1, shape (k,).

    Returns
    -------
        p_ij ∝ q_ij² v_j, shape (n, k): rows sum to 1, columns to n · share as nearly as `CLOSE`.
    """
    square, wanted = q.double().square(), share.double() * len(q)
    v = 1 / square.sum(0).clamp(min=TINY)
    for _ in range(ROUNDS):
        p = square * v
        p /= p.sum(1, keepdim=True)
        size = p.sum(0)
        if ((size - wanted).abs() <= CLOSE * wanted).all():
            break
        v = v * wanted / size.clamp(min=TINY)
    return p.to(q.dtype)


def divergence(p: Tensor, q: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over rows of w_i Σ_j p_ij log(p_ij / q_ij); w is 1 when it is None."""
    rows = (torch.xlogy(p, p) - p * q.clamp(min=TINY).log()).sum(1)
    return (rows if weight is None else rows * weight).mean()


@dataclass(frozen=True)
class DecSettings:
    """How to refine.

    Parameters
    ----------
    alpha
        Degrees of freedom of the kernel.
    lr
        Learning rate of SGD with momentum 0.9.
    batch
        Observations per step, at most.
    update_interval
        Steps between targets.
    tolerance
        Stop when no more than this part of the observations changed cluster since the last target.
    steps
        At most.
    """

    alpha: float
    lr: float
    batch: int
    update_interval: int
    tolerance: float
    steps: int


def refine(
    encoder: Coder,
    centres: Tensor,
    inputs: Inputs,
    settings: DecSettings,
    *,
    target: Target,
    generator: torch.Generator,
    weight: Tensor | None = None,
) -> tuple[Tensor, list[float]]:
    """Move the encoder, in place, and the centres towards the target.

    Parameters
    ----------
    encoder
        Fitted as part of an autoencoder; it is changed.
    centres
        To start from, shape (k, latent).
    inputs
        Of n observations.
    settings
        How.
    target
        Gives p from the q of all observations; called every ``update_interval`` steps, never per batch.
    generator
        Draws the batches.
    weight
        Of each observation in the loss, shape (n,); None for 1.

    Returns
    -------
        The centres, shape (k, latent), and the part of the observations that changed cluster from target
        to target.

    Raises
    ------
    NumericsError
        When codes or centres are not finite.
    """
    encoder.requires_grad_(requires_grad=True)
    centres = centres.clone().requires_grad_()
    optimiser = torch.optim.SGD([*encoder.parameters(), centres], settings.lr, momentum=0.9)
    order, changes = _endless(len(inputs), settings.batch, generator), list[float]()
    p = codes = torch.empty(0)
    for step in track(range(settings.steps), "dec", settings.steps):
        if step % settings.update_interval == 0:
            q = _assign(encoder, centres, inputs, settings.alpha)
            before, codes = codes, q.argmax(1)
            if step:
                changes.append(float((codes != before).double().mean()))
                if changes[-1] <= settings.tolerance:
                    break
            p = target(q)
        rows = next(order)
        z = encoder(torch.from_numpy(inputs.take(rows.numpy())))
        loss = divergence(
            p[rows], soft_assignment(z, centres, settings.alpha), None if weight is None else weight[rows]
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        optimiser.step()
    encoder.requires_grad_(requires_grad=False)
    return centres.detach(), changes


@torch.no_grad()
def _assign(encoder: Coder, centres: Tensor, inputs: Inputs, alpha: float) -> Tensor:
    """Soft assignments of all observations, a part at a time, shape (n, k)."""
    parts = [slice(start, start + PART) for start in range(0, len(inputs), PART)]
    q = [soft_assignment(encoder(torch.from_numpy(inputs.take(part))), centres, alpha) for part in parts]
    found = torch.cat(q)
    if not bool(torch.isfinite(found).all()):
        raise NumericsError(
            "dec: the assignments are not finite.", "Lower learning_rate, and look for extreme values."
        )
    return found


def _endless(n: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from batches(n, batch, generator)
