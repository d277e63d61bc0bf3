"""The training loop."""

from __future__ import annotations

import pytest
import torch

from triptych.core.errors import NumericsError
from triptych.core.progress import listening
from triptych.nets.training import batches, train


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def line(epochs: int = 200, batch: int = 16, seed: int = 0) -> tuple[torch.Tensor, list[float]]:
    """Fit y = 3x."""
    x = torch.linspace(-1, 1, 50)
    slope = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([slope], 0.1)
    step = lambda rows: (slope * x[rows] - 3 * x[rows]).square().mean()  # noqa: E731
    losses = train(optimiser, step, 50, epochs=epochs, batch=batch, generator=generator(seed))
    return slope.detach(), losses


def test_it_learns_and_records_each_epoch():
    slope, losses = line()
    assert float(slope) == pytest.approx(3.0, abs=1e-3)
    assert len(losses) == 200
    assert losses[-1] < losses[0]


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    assert line(3)[1] == line(3)[1]
    assert line(3)[1] != line(3, seed=1)[1]


@pytest.mark.parametrize(
    ("n", "batch", "sizes"), [(10, 4, {3, 4}), (10, 10, {10}), (10, 99, {10}), (9, 8, {4, 5})]
)
def test_batches_are_even_and_cover_all(n, batch, sizes):
    parts = list(batches(n, batch, generator()))
    assert {len(part) for part in parts} == sizes
    assert sorted(torch.cat(parts).tolist()) == list(range(n))


def test_a_loss_that_is_not_finite_is_an_error():
    slope = torch.ones(1, requires_grad=True)
    optimiser = torch.optim.SGD([slope], 0.1)
    with pytest.raises(NumericsError, match="loss of fitting is nan in epoch 1 of 5"):
        train(
            optimiser, lambda _: (slope * float("nan")).sum(), 4,
            epochs=5, batch=4, generator=generator(), label="fitting",
        )  # fmt: skip


def test_progress_is_told():
    told = []
    with listening(lambda *args: told.append(args)):
        line(4)
    assert told == [("training", done, 4) for done in range(5)]
