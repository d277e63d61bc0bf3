"""Triplets drawn inside a batch, and their margin loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pairwise_distance, relu


def draw_triplets(labels: Tensor, clusters: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Partners for every member of a batch, found in the same batch.

    Each anchor gets C-1 positives from its own cluster, with replacement and possibly itself, and one
    negative from each of the other C-1 clusters.

    Parameters
    ----------
    labels
        Cluster of each anchor, shape (b,), 0 … C-1.
    clusters
        C.
    generator
        On the device of the labels.

    Returns
    -------
        Positions in the batch of the positives and of the negatives, and whether the pair exists (a
        cluster may be absent from the batch), each of shape (b, C-1).
    """
    order = torch.argsort(labels, stable=True)
    count = torch.bincount(labels, minlength=clusters)
    start = count.cumsum(0) - count
    others = torch.arange(clusters - 1, device=labels.device).expand(len(labels), -1)
    others = others + (others >= labels[:, None]).to(others.dtype)
    own = labels[:, None].expand_as(others)
    draws = torch.rand((2, *others.shape), generator=generator, device=labels.device)
    positive, negative = (
        order[_pick(draw, start[which], count[which])]
        for draw, which in zip(draws, (own, others), strict=True)
    )
    return positive, negative, count[others] > 0


def _pick(draw: Tensor, start: Tensor, count: Tensor) -> Tensor:
    """A uniform draw in [0, 1) → a position among ``count`` from ``start``; harmless when there is none."""
    within = torch.minimum((draw * count).long(), (count - 1).clamp(min=0))
    return (start + within).clamp(max=len(start) - 1)


def triplet_loss(z: Tensor, triplets: tuple[Tensor, Tensor, Tensor], margin: float = 1.0) -> Tensor:
    """Mean over triplets of max(0, ‖a − p + ε‖ − ‖a − n + ε‖ + margin), ε = 1e-6.

    Parameters
    ----------
    z
        Embeddings of the batch, shape (b, d).
    triplets
        From `draw_triplets`.
    margin
        Distance wanted between negatives and positives.
    """
    positive, negative, exists = triplets
    anchor = z[:, None, :]
    near = pairwise_distance(anchor, _rows(z, positive))
    far = pairwise_distance(anchor, _rows(z, negative))
    loss = relu(near - far + margin) * exists
    return loss.sum() / exists.sum().clamp(min=1)


def _rows(z: Tensor, index: Tensor) -> Tensor:
    return z.index_select(0, index.reshape(-1)).view(*index.shape, z.shape[1])
