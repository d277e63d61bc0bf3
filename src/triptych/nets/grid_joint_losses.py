"""Losses that draw sections together: pairs across them, and the energy distance within clusters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pairwise_distance, relu


def pair_loss(
    z: Tensor, paired: Tensor, matched: Tensor, drawn: tuple[Tensor, Tensor, Tensor], margin: float
) -> Tensor:
    """Mean of max(0, ‖a − p‖ − ‖a − n‖ + margin) where p is the partner of a in another section.

    Parameters
    ----------
    z
        Codes of the batch, shape (b, d).
    paired
        Positions in the batch of those that have a partner, shape (q,).
    matched
        Codes of the partners, shape (q, d).
    drawn
        From `draw_triplets`, of which the negatives are taken.
    margin
        Distance wanted between negatives and partners.
    """
    _, negative, exists = (part.index_select(0, paired) for part in drawn)
    anchor = z.index_select(0, paired)
    near = pairwise_distance(anchor, matched)[:, None]
    others = z.index_select(0, negative.reshape(-1)).view(*negative.shape, -1)
    loss = relu(near - pairwise_distance(anchor[:, None, :], others) + margin) * exists
    return loss.sum() / exists.sum().clamp(min=1)


def energy(z: Tensor, labels: Tensor, section: Tensor, sections: int, generator: torch.Generator) -> Tensor:
    """Energy distance between sections within clusters, estimated from one draw per observation.

    The mean over observations a of ‖a − y‖ − ‖a − x‖, where x is drawn from the section and the cluster of
    a, and y from the same cluster of another section; half of 2E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖. What a
    section has alone takes no part.

    Parameters
    ----------
    z
        Codes of the batch, shape (b, d).
    labels, section
        Cluster and section of each, shape (b,).
    sections
        Number of sections.
    generator
        Of the draws.
    """
    other = draw_alike(labels, generator)
    same = draw_alike(labels * sections + section, generator)
    counted = section[other] != section
    apart = pairwise_distance(z, z.index_select(0, other)) - pairwise_distance(z, z.index_select(0, same))
    return (apart * counted).sum() / counted.sum().clamp(min=1)


def draw_alike(groups: Tensor, generator: torch.Generator) -> Tensor:
    """For each member of a batch the position of one of its group, perhaps its own, shape (b,)."""
    order = torch.argsort(groups, stable=True)
    count = torch.bincount(groups)
    start = count.cumsum(0) - count
    draw = torch.rand(len(groups), generator=generator, device=groups.device)
    within = torch.minimum((draw * count[groups]).long(), count[groups] - 1)
    return order[start[groups] + within]
