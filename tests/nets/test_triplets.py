"""Triplets drawn in a batch."""

from __future__ import annotations

import pytest
import torch

from triptych.nets.triplets import draw_triplets, triplet_loss


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_positives_share_the_cluster_and_negatives_cover_the_others():
    labels = torch.randint(5, (300,), generator=generator(1))
    positive, negative, exists = draw_triplets(labels, 5, generator())
    assert positive.shape == negative.shape == (300, 4)
    assert exists.all()
    assert (labels[positive] == labels[:, None]).all()
    for anchor, others in zip(labels.tolist(), labels[negative].tolist(), strict=True):
        assert others == [c for c in range(5) if c != anchor]


def test_every_member_of_a_cluster_is_drawn_about_equally():
    labels = torch.tensor([0] * 4 + [1] * 4)
    g = generator()
    draws = torch.stack([draw_triplets(labels, 2, g)[1][0, 0] for _ in range(2000)])
    counts = torch.bincount(draws, minlength=8)
    assert counts[:4].sum() == 0
    assert (counts[4:] - 500).abs().max() < 100


def test_an_absent_cluster_gives_no_pair_and_no_index_error():
    labels = torch.tensor([0, 0, 2, 2, 2])
    positive, negative, exists = draw_triplets(labels, 4, generator())
    assert exists.sum(1).tolist() == [1, 1, 1, 1, 1]
    assert (labels[negative][exists] != labels[:, None].expand_as(negative)[exists]).all()
    z = torch.randn(5, 3, generator=generator())
    got = triplet_loss(z, (positive, negative, exists))
    near, far = z[positive][exists], z[negative][exists]
    anchor = z[:, None].expand(-1, 3, -1)[exists]
    torch.testing.assert_close(got, torch.nn.TripletMarginLoss()(anchor, near, far))


def test_a_batch_of_one_cluster_has_loss_zero():
    z = torch.randn(4, 3, generator=generator()).requires_grad_()
    triplets = draw_triplets(torch.zeros(4, dtype=torch.long), 3, generator())
    loss = triplet_loss(z, triplets)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_margin(margin):
    z = torch.randn(20, 3, generator=generator())
    triplets = draw_triplets(torch.arange(20) % 3, 3, generator())
    anchor = z[:, None].expand(-1, 2, -1)
    expected = torch.nn.TripletMarginLoss(margin)(anchor, z[triplets[0]], z[triplets[1]])
    torch.testing.assert_close(triplet_loss(z, triplets, margin), expected)
