"""The terms of the loss of nuclei, against loops; what is unknown leaves no trace in them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from triptych.nets.hv_losses import WEIGHTS, Targets, loss_terms, slopes, total

CLASSES = 3
CLASS_WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 3.0], dtype=torch.float64)


def drawn(seed=0, b=2, h=9, w=7):
    """Maps and targets in which everything occurs: nuclei, background, unknown types, ignored pixels."""
    rng = np.random.default_rng(seed)
    nucleus = rng.random((b, h, w)) < 0.5
    types = np.where(nucleus, rng.choice([1, 3], (b, h, w)), 0)
    known = rng.random((b, h, w)) < 0.8
    parts = {
        "nucleus": nucleus, "hv": rng.uniform(-1, 1, (b, 2, h, w)) * nucleus[:, None], "types": types,
        "known": known, "typed": known & ((types != 3) | (rng.random((b, h, w)) < 0.7)),
    }  # fmt: skip
    maps = torch.from_numpy(rng.normal(size=(b, 4 + CLASSES, h, w)))
    return maps.requires_grad_(), Targets(**{name: torch.from_numpy(part) for name, part in parts.items()})


def naive_dice(pairs):
    both, either = sum(g * t for g, t in pairs), sum(g + t for g, t in pairs)
    return 1 - (2 * both + 1) / (either + 1)


def pixels_of(targets):
    return [tuple(at) for at in np.argwhere(np.ones(targets.known.shape))]


def test_terms_of_nuclei_are_those_of_loops():
    maps, targets = drawn()
    terms = loss_terms(maps, targets, CLASS_WEIGHTS)
    m, nucleus, known = maps.detach().numpy(), targets.nucleus.numpy(), targets.known.numpy()
    entropy, pairs, squares = [], [], []
    for b, y, x in pixels_of(targets):
        if not known[b, y, x]:
            continue
        p, t = 1 / (1 + math.exp(-m[b, 0, y, x])), float(nucleus[b, y, x])
        entropy.append(-math.log(p if t else 1 - p))
        pairs.append((p, t))
        squares += [(m[b, 1 + k, y, x] - targets.hv[b, k, y, x].item()) ** 2 for k in range(2)]
    assert terms["nuclei"].item() == pytest.approx(np.mean(entropy), rel=1e-6)
    assert terms["nuclei_dice"].item() == pytest.approx(naive_dice(pairs), rel=1e-6)
    assert terms["maps"].item() == pytest.approx(np.mean(squares), rel=1e-6)


def test_slopes_are_those_of_loops():
    maps, targets = drawn(seed=1)
    known, nucleus = targets.known.numpy(), targets.nucleus.numpy()
    error = (maps[:, 1:3].detach() - targets.hv).numpy() * known[:, None]
    _, height, width = known.shape
    squares = []
    for b, y, x in pixels_of(targets):
        if not (known[b, y, x] and nucleus[b, y, x]):
            continue
        for k in range(2):
            slope = 0.0
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    inside = 0 <= y + dy < height and 0 <= x + dx < width
                    if inside and (dx or dy):
                        slope += (dx, dy)[k] / (dx**2 + dy**2) * error[b, k, y + dy, x + dx]
            squares.append(slope**2)
    found = loss_terms(maps, targets, CLASS_WEIGHTS)["slopes"].item()
    assert found == pytest.approx(np.mean(squares), rel=1e-6)


def test_a_ramp_has_the_slope_twelve_times_its_own():
    ramp = torch.arange(11.0).repeat(11, 1)
    found = slopes(torch.stack([ramp, ramp.T * 3])[None])[0, :, 4:7, 4:7]
    torch.testing.assert_close(found[0], torch.full((3, 3), 12.0))
    torch.testing.assert_close(found[1], torch.full((3, 3), 36.0))


def test_terms_of_types_are_those_of_loops():
    maps, targets = drawn(seed=2)
    terms = loss_terms(maps, targets, CLASS_WEIGHTS)
    logits = maps[:, 3:].detach().numpy()
    above, below = 0.0, 0.0
    pairs = {1: [], 3: []}  # class 2 is shown nowhere
    for b, y, x in pixels_of(targets):
        if not targets.typed[b, y, x]:
            continue
        p = np.exp(logits[b, :, y, x])
        p /= p.sum()
        type_ = int(targets.types[b, y, x])
        above -= CLASS_WEIGHTS[type_].item() * math.log(p[type_])
        below += CLASS_WEIGHTS[type_].item()
        for code, found in pairs.items():
            found.append((p[code], float(type_ == code)))
    assert terms["types"].item() == pytest.approx(above / below, rel=1e-6)
    dice = np.mean([naive_dice(found) for found in pairs.values()])
    assert terms["types_dice"].item() == pytest.approx(dice, rel=1e-6)


def test_the_total_weighs_the_terms():
    maps, targets = drawn()
    terms = loss_terms(maps, targets, CLASS_WEIGHTS)
    assert set(terms) == set(WEIGHTS)
    assert total(terms).item() == pytest.approx(sum(WEIGHTS[k] * v.item() for k, v in terms.items()))


def test_what_lies_under_ignored_pixels_changes_nothing():
    maps, targets = drawn(seed=3)
    unknown = ~targets.known
    other = replace(
        targets,
        nucleus=targets.nucleus ^ unknown,
        hv=torch.where(unknown[:, None], 0.3, targets.hv),
        types=torch.where(unknown, 255, targets.types),
    )
    slope = []
    for some in (targets, other):
        loss = total(loss_terms(maps, some, CLASS_WEIGHTS))
        (gradient,) = torch.autograd.grad(loss, maps)
        assert not gradient[unknown[:, None].expand_as(gradient)].any()
        slope.append((loss.item(), gradient))
    assert slope[0][0] == slope[1][0]
    assert torch.equal(slope[0][1], slope[1][1])


def test_nuclei_of_unknown_type_teach_nuclei_and_no_types():
    maps, targets = drawn(seed=4)
    silent = replace(targets, typed=torch.zeros_like(targets.typed))
    terms = loss_terms(maps, silent, CLASS_WEIGHTS)
    assert terms["types"].item() == terms["types_dice"].item() == 0
    (gradient,) = torch.autograd.grad(total(terms), maps)
    assert not gradient[:, 3:].any()
    assert gradient[:, :3].any()
    assert terms["nuclei"].item() == loss_terms(maps, targets, CLASS_WEIGHTS)["nuclei"].item()


def test_where_nothing_is_known_the_loss_is_finite_and_flat():
    maps, targets = drawn(seed=5)
    nothing = torch.zeros_like(targets.known)
    loss = total(loss_terms(maps, replace(targets, known=nothing, typed=nothing), CLASS_WEIGHTS))
    (gradient,) = torch.autograd.grad(loss, maps)
    assert loss.item() == 0
    assert not gradient.any()


def test_without_classes_there_are_no_terms_of_types():
    maps, targets = drawn()
    assert set(loss_terms(maps[:, :4], targets, CLASS_WEIGHTS[:1])) == {
        "nuclei",
        "nuclei_dice",
        "maps",
        "slopes",
    }
