"""Training members side by side: what each may see, when it stops, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from triptych.core.errors import NumericsError
from triptych.nets import regressor_training
from triptych.nets.regressor import Scale, guesses
from triptych.nets.regressor_losses import loss_terms, total
from triptych.nets.regressor_training import Member, Settings, endless, fit_regressors

SETTINGS = Settings(
    hidden=(16, 16, 8, 8, 8, 8), dropout=0.1, mae=0.5, pearson=0.5, epsilon=1e-6, lr=3e-3,
    weight_decay=1e-2, batch=20, epochs=12, patience=4,
)  # fmt: skip


def study(n=90, d=6, t=3, folds=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g)
    y = torch.stack([x[:, 0] * x[:, 1], x[:, 2].abs(), x[:, 3]], 1)[:, :t] + 0.3 * torch.randn(
        n, t, generator=g
    )
    fold = torch.arange(n) % folds
    return (
        x,
        y,
        [Member(torch.nonzero(fold != f)[:, 0], torch.nonzero(fold == f)[:, 0]) for f in range(folds)],
    )


def train(x, y, members, seed=1, **changed):
    return fit_regressors(x, y, members, replace(SETTINGS, **changed), torch.Generator().manual_seed(seed))


def weights(trained, member):
    return [p[member] for p in trained.network.parameters()]


def same(a, b):
    return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))


def test_the_scale_is_that_of_numpy_over_the_rows_of_each_member():
    x, _, members = study()
    x[:, 4] = 0.1
    x[members[1].held, 5] = 9.0
    x[members[1].rows, 5] = 7.0  # constant for one member only
    rows = [member.rows for member in members]
    scale = Scale.of(x, rows, 1.5)
    for at, member in enumerate(members):
        seen = x[member.rows].double().numpy()
        std = np.where(np.ptp(seen, axis=0) > 0, seen.std(axis=0), np.inf)
        expected = np.clip((x.double().numpy() - seen.mean(axis=0)) / std, -1.5, 1.5)
        found = scale.member(at).apply(x[None])[0]
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)
    assert (scale.apply(x.expand(3, -1, -1))[:, :, 4] == 0).all()
    free = Scale.of(x[:, :4], rows)
    x = x[:, :4].expand(3, -1, -1)
    torch.testing.assert_close(free.undo(free.apply(x)), x)


def test_batches_are_full_and_every_row_comes_once_before_any_comes_again():
    rows = torch.tensor([3, 5, 8, 13, 21, 34, 55])
    drawn = torch.cat(list(islice(endless(rows, 4, torch.Generator().manual_seed(0)), 7)))
    assert len(drawn) == 28
    for start in range(0, 28, 7):
        assert sorted(drawn[start : start + 7].tolist()) == rows.tolist()


def watched(monkeypatch, *given, **changed):
    """Train; the members, and the weights of each after every epoch."""
    path, judge = [], regressor_training.held_out

    def held_out(trained, *rest):
        path.append([p.detach().clone() for p in trained.network.parameters()])
        return judge(trained, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(regressor_training, "held_out", held_out)
        return train(*given, **changed), path


@pytest.mark.parametrize("poisoned", ["x", "y"])
def test_what_is_held_out_from_a_member_changes_nothing_but_when_it_stops(poisoned, monkeypatch):
    x, y, members = study()
    clean, path = watched(monkeypatch, x, y, members, patience=12)
    for at, member in enumerate(members):
        bad = {"x": x.clone(), "y": y.clone()}
        bad[poisoned][member.held] = 1e3 + 50 * torch.flip(bad[poisoned][member.held], (0,))
        found, other = watched(monkeypatch, bad["x"], bad["y"], members, patience=12)
        for before, after in zip(path, other, strict=True):
            assert same([p[at] for p in before], [p[at] for p in after])
            assert not same([p[at - 1] for p in before], [p[at - 1] for p in after])
        assert same(weights(found, at), [p[at] for p in path[found.epochs[at] - 1]])
        for part in ("inputs", "targets"):
            assert torch.equal(getattr(found, part).mean[at], getattr(clean, part).mean[at])


def test_the_weights_of_the_epoch_with_the_least_loss_on_what_is_held_out_are_kept(monkeypatch):
    x, y, members = study()
    trained, path = watched(monkeypatch, x, y, members, epochs=30, patience=30)
    for at, member in enumerate(members):
        losses = []
        for epoch in path:
            for now, then in zip(trained.network.parameters(), epoch, strict=True):
                now.copy_(then)
            guess = guesses(trained.network, trained.inputs, x, member.held.expand(3, -1))[at][None]
            truth = trained.targets.member(at).apply(y[member.held][None])
            losses.append(float(total(loss_terms(guess, truth, 1e-6), 0.5, 0.5)))
        assert trained.epochs[at] == np.argmin(losses) + 1


def test_a_member_that_stopped_stays_stopped():
    x, y, members = study()
    long = train(x, y, members, epochs=60, patience=60)
    short = train(x, y, members, epochs=60, patience=3)
    assert len(short.losses["total"]) < 60
    assert (short.epochs <= long.epochs).all()
    assert len(short.losses["total"]) == short.epochs.max() + 3


def test_members_of_unequal_size_learn_together():
    x, y, _ = study()
    few, many = torch.arange(7), torch.arange(7, 90)
    trained = train(x, y, [Member(few, many), Member(many, few)])
    assert np.isfinite(trained.losses["total"]).all()


def test_the_losses_are_told_by_term_and_add_up():
    x, y, members = study()
    losses = train(x, y, members).losses
    assert list(losses) == ["mse", "mae", "pearson", "total", "held out"]
    np.testing.assert_allclose(
        losses["total"], losses["mse"] + 0.5 * losses["mae"] + 0.5 * losses["pearson"], rtol=1e-5
    )
    assert losses["total"][-1] < losses["total"][0]


def test_a_target_that_is_constant_gives_no_nan():
    x, y, members = study()
    y[:, 1] = 0.25
    trained = train(x, y, members)
    found = trained.targets.undo(guesses(trained.network, trained.inputs, x, torch.arange(90).expand(3, -1)))
    assert (found[:, :, 1] == 0.25).all()
    assert torch.isfinite(found).all()


def test_the_same_seed_gives_the_same_bits_and_another_others():
    x, y, members = study()
    first, again, other = (train(x, y, members, seed) for seed in (1, 1, 2))
    assert all(same(weights(first, at), weights(again, at)) for at in range(3))
    assert not same(weights(first, 0), weights(other, 0))


def test_a_guess_does_not_depend_on_its_company():
    x, y, members = study(n=700)
    trained = train(x, y, members, epochs=2)
    whole = guesses(trained.network, trained.inputs, x, torch.arange(700).expand(3, -1))
    for row in (0, 511, 512, 699):
        alone = guesses(
            trained.network, trained.inputs, x[row : row + 1], torch.zeros(3, 1, dtype=torch.int64)
        )
        assert torch.equal(alone[:, 0], whole[:, row])


def test_a_loss_that_is_not_finite_is_told():
    x, y, members = study()
    with pytest.raises(NumericsError, match="Lower the learning rate"):
        train(x, y, members, lr=1e30)
