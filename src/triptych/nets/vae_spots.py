"""The last transposed convolution and the loss of the planes of molecules, in one.

Logits of all genes of a batch are far larger than anything else, and most of what a plain network does is to
write and read them. Here they are made for a few genes at a time, turned into loss and gradient while they
lie in the cache, and forgotten. A transposed convolution of stride 2 is four sums of products, one for each
parity of row and column, of the input shifted by at most one. Genes of weight 0 have neither loss nor
gradient and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from triptych.nets.lanes import side_by_side
from triptych.nets.vae_losses import SpotWeights
from triptych.nets.vae_planes import Planes
from triptych.nets.vae_shape import trimmed
from triptych.nets.vae_spot_terms import Ones, compare

GENES, BLOCK = 64, 2**25  # genes, and logits, made at once at most
FEW = 2**21  # logits so few that a second thread costs more than it helps
PART = 2**17  # values of the input that products see at once, so that what they add to stays in the cache
NEVER = -80.0  # a logit whose p is 0
# Parity of row and column → row and column of the kernel, and shift of the input.
TAPS = {
    (r, c): [(ky, kx, ky // 2, kx // 2) for ky in ((1,) if r else (0, 2)) for kx in ((1,) if c else (0, 2))]
    for r in (0, 1)
    for c in (0, 1)
}


def spot_loss(
    h: Tensor, weight: Tensor, bias: Tensor, planes: Planes, *, weights: SpotWeights, genes: Tensor | None
) -> Tensor:
    """The loss of planes given back from the input of the last layer.

    Parameters
    ----------
    h
        Input of the last transposed convolution, shape (b, channels, n, n).
    weight
        Of that layer, shape (3, 3, genes, channels).
    bias
        Shape (genes,).
    planes
        What should have been given back.
    weights
        How both are compared.
    genes
        Weight of each gene, shape (genes,); None for 1.
    """
    found: Tensor = _SpotLoss.apply(h, weight, bias, planes, weights, genes)  # type: ignore[no-untyped-call]
    return found


def logits(h: Tensor, weight: Tensor, bias: Tensor, side: int) -> Tensor:
    """What the last layer gives, shape (b, genes, side, side)."""
    found = torch.nn.functional.conv_transpose2d(h, weight.permute(3, 2, 0, 1), bias, stride=2)
    return trimmed(found, side)


class _SpotLoss(torch.autograd.Function):
    """Loss and gradient together; backward only hands the gradient on."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, planes: Planes, weights: SpotWeights,
        genes: Tensor | None,
    ) -> Tensor:  # fmt: skip
        share = torch.full_like(bias, 1 / len(bias)) if genes is None else genes.to(bias.dtype) / len(bias)
        layer = _Layer.of(h, weight.detach(), bias.detach(), planes)
        blocks = layer.blocks(share)
        many = h.device.type == "cpu" and 4 * layer.places * len(bias) > FEW
        count = min(torch.get_num_threads() if many else 1, len(blocks))
        lanes = side_by_side(
            lambda lane: _lane(layer, blocks[lane::count], share, weights), list(range(count))
        )
        losses, gradients = [loss for loss, _ in lanes], [of_h for _, of_h in lanes]
        of_h = layer.inside(sum(gradients[1:], gradients[0]) if gradients else torch.zeros_like(layer.h))
        of_h = of_h.permute(1, 0, 2, 3).contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(of_h, layer.of_weight, layer.of_bias)
        return sum(losses, h.new_zeros(()))

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        of_h, of_weight, of_bias = ctx.saved_tensors
        return of_h * given[0], of_weight * given[0], of_bias * given[0], None, None, None


def _lane(
    layer: _Layer, blocks: list[tuple[Tensor, Ones]], share: Tensor, weights: SpotWeights
) -> tuple[Tensor, Tensor]:
    """Loss of some blocks of genes, and its gradient to the input."""
    buffer = layer.h.new_empty(max(len(chosen) for chosen, _ in blocks), 4, layer.places)
    of_h, total = torch.zeros_like(layer.h), layer.h.new_zeros(())
    for chosen, ones in blocks:
        z = buffer[: len(chosen)]
        layer.make(z, chosen)
        pixels = layer.batch * layer.side**2
        total = total + compare(z.flatten(1), ones, share[chosen], weights=weights, pixels=pixels)
        layer.hand_back(z, chosen, of_h)
    return total, of_h


@dataclass(frozen=True, eq=False)
class _Layer:
    """What the blocks of genes share.

    Parameters
    ----------
    h
        The input as (channels, batch · m · m and some zeros), m = n + 1, with zeros in the first row and
        column of each crop: so the input shifted by a row, a column or both is a window of the same array,
        and what is beyond the last row and column is the zeros of the next.
    weight, bias, planes
        Of the layer, and what it should give.
    of_weight, of_bias
        Gradients; each block writes its genes'.
    m, batch, side
        Sizes.
    """

    h: Tensor
    weight: Tensor
    bias: Tensor
    planes: Planes
    of_weight: Tensor
    of_bias: Tensor
    m: int
    batch: int
    side: int

    @classmethod
    def of(cls, h: Tensor, weight: Tensor, bias: Tensor, planes: Planes) -> _Layer:
        """Lay out the input, shape (b, channels, n, n)."""
        batch, channels, n, _ = h.shape
        flat = h.new_zeros(channels, batch * (n + 1) ** 2 + n + 2)
        gradients = torch.zeros_like(weight), torch.zeros_like(bias)
        layer = cls(flat, weight, bias, planes, *gradients, n + 1, batch, planes.side)
        layer.inside(flat).copy_(h.permute(1, 0, 2, 3))
        return layer

    @property
    def places(self) -> int:
        """Of one parity in all crops."""
        return self.batch * self.m * self.m

    def inside(self, flat: Tensor) -> Tensor:
        """What an array laid out like the input holds, shape (channels, b, n, n)."""
        return flat[:, : self.places].view(len(flat), self.batch, self.m, self.m)[:, :, 1:, 1:]

    def blocks(self, share: Tensor) -> list[tuple[Tensor, Ones]]:
        """Genes that count, some at a time, with their pixels that are 1."""
        planes, width = self.planes, max(1, min(GENES, BLOCK // (4 * self.places)))
        at = ((planes.y & 1) * 2 + (planes.x & 1)) * self.places
        at += (planes.crop * self.m + (planes.y >> 1)) * self.m + (planes.x >> 1)
        kept = torch.nonzero(share).squeeze(1)
        rank = torch.full((len(share),), -1, device=kept.device)
        rank[kept] = torch.arange(len(kept), device=kept.device)
        gene = rank[planes.gene]
        gene, at = gene[gene >= 0], at[gene >= 0]
        count, found, first = -(-len(kept) // width), [], 0
        for chosen in kept.tensor_split(count) if count else ():
            mine = (gene >= first) & (gene < first + len(chosen))
            row = gene[mine] - first
            found.append((chosen, Ones(row, row * 4 * self.places + at[mine])))
            first += len(chosen)
        return found

    def _windows(self, z: Tensor) -> Iterator[tuple[Tensor, list[tuple[int, int, slice]]]]:
        """Some places of one parity, the taps that lead there, and the part of the input that each sees."""
        step = max(1, PART // len(self.h)) if z.device.type == "cpu" else self.places
        for start in range(0, self.places, step):
            stop = min(start + step, self.places)
            for (r, c), taps in TAPS.items():
                first = [(ky, kx, (1 - down) * self.m + 1 - right) for ky, kx, down, right in taps]
                seen = [(ky, kx, slice(at + start, at + stop)) for ky, kx, at in first]
                yield z[:, 2 * r + c, start:stop], seen

    def make(self, z: Tensor, chosen: Tensor) -> None:
        """Write the logits of some genes."""
        weight, bias = self.weight[:, :, chosen], self.bias[chosen, None]
        for out, taps in self._windows(z):
            before = bias
            for ky, kx, seen in taps:
                torch.addmm(before, weight[ky, kx], self.h[:, seen], out=out)
                before = out
        # of odd rows and columns there is one fewer; where the side is even, of all
        grid, odd = z.view(len(z), 4, self.batch, self.m, self.m), self.side % 2
        grid[:, 2 * odd :, :, -1] = NEVER
        grid[:, odd :: 1 + odd, :, :, -1] = NEVER

    def hand_back(self, z: Tensor, chosen: Tensor, of_h: Tensor) -> None:
        """Add the gradient to that of the input, and note that of weights and bias."""
        weight = self.weight[:, :, chosen]
        of_weight = torch.zeros_like(weight)
        for slope, taps in self._windows(z):
            for ky, kx, seen in taps:
                of_weight[ky, kx].addmm_(slope, self.h[:, seen].t())
                of_h[:, seen].addmm_(weight[ky, kx].t(), slope)
        self.of_weight.index_copy_(2, chosen, of_weight)
        self.of_bias.index_copy_(0, chosen, z.sum((1, 2)))
